"""Architectures that others wrote, each small, with random weights and the inputs that its own preprocessing gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import zoo_inputs as inputs


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture: ``model`` is a class of transformers or a name of timm, ``options`` make it small.

    ``draws`` says that it draws random numbers in evaluation, ``slow`` that it has more sites than a quick run allows.
    """

    model: str
    options: Mapping[str, Any]
    data: Callable[[], inputs.Arrays]
    package: str = "transformers"
    draws: bool = False
    slow: bool = False


_WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_TEXT = {**_WIDE, "vocab_size": 99, "max_position_embeddings": 64, "pad_token_id": 0}
_CAUSAL = {**_TEXT, "num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
_ENCODER_DECODER = {
    "vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
_IMAGE = {**_WIDE, "image_size": 32, "patch_size": 8}
_SPEECH = {
    **_WIDE, "vocab_size": 32, "conv_dim": (32, 32, 32), "conv_stride": (5, 4, 4), "conv_kernel": (10, 8, 8),
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 3,
}  # fmt: skip


def _text(model: str, **options: Any) -> Family:
    return Family(model, _TEXT | options, inputs.sentences)


def _causal(model: str, **options: Any) -> Family:
    return Family(model, _CAUSAL | options, inputs.sentences)


def _pair(model: str, **options: Any) -> Family:
    return Family(model, _ENCODER_DECODER | options, inputs.sentence_pairs)


def _image(model: str, **options: Any) -> Family:
    return Family(model, _IMAGE | options, inputs.images)


def _pyramid(model: str, **options: Any) -> Family:
    return Family(model, options, inputs.images)


def _speech(model: str, **options: Any) -> Family:
    return Family(model, _SPEECH | options, inputs.sounds)


def _timm(model: str, size: int = 64, **options: Any) -> Family:
    return Family(model, {"num_classes": 5} | options, lambda: inputs.images(size, name="x"), "timm")


FAMILIES: dict[str, Family] = {
    # text, read in both directions
    "bert": _text("BertForSequenceClassification"),
    "roberta": _text("RobertaForMaskedLM"),
    "distilbert": _text("DistilBertForMaskedLM", dim=32, n_layers=2, n_heads=4, hidden_dim=64),
    "albert": _text("AlbertForMaskedLM", embedding_size=16),
    "electra": _text("ElectraForPreTraining", embedding_size=16),
    "deberta-v2": _text("DebertaV2ForMaskedLM", relative_attention=True, pos_att_type=["p2c", "c2p"]),
    "mpnet": _text("MPNetForMaskedLM"),
    "modernbert": _text("ModernBertForMaskedLM", cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2),
    "longformer": _text("LongformerForMaskedLM", attention_window=4),
    "big-bird": _text("BigBirdForMaskedLM", attention_type="original_full"),
    "convbert": _text("ConvBertForMaskedLM", embedding_size=32, head_ratio=2),
    "fnet": _text("FNetForMaskedLM"),
    "funnel": Family("FunnelForMaskedLM", {
        "vocab_size": 99, "block_sizes": [1, 1], "num_decoder_layers": 1, "d_model": 32, "n_head": 4, "d_head": 8,
        "d_inner": 64, "pad_token_id": 0}, inputs.sentences),
    "xlnet": Family("XLNetLMHeadModel", {
        "vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "pad_token_id": 0},
        inputs.sentences),
    "nystromformer": Family("NystromformerForMaskedLM", _TEXT | {"num_landmarks": 4, "segment_means_seq_len": 12},
                            lambda: inputs.without(inputs.sentences(), "attention_mask")),
    "canine": _text("CanineForSequenceClassification", num_hash_buckets=64, local_transformer_stride=4),
    "esm": _text("EsmForMaskedLM", mask_token_id=3, token_dropout=False, position_embedding_type="rotary"),
    "reformer": Family("ReformerModelWithLMHead", {
        "vocab_size": 99, "hidden_size": 32, "num_attention_heads": 4, "attention_head_size": 8,
        "feed_forward_size": 64,
        "attn_layers": ["local", "lsh"], "axial_pos_shape": [4, 4], "axial_pos_embds_dim": [16, 16],
        "max_position_embeddings": 16, "is_decoder": True, "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4,
        "num_buckets": 2, "hash_seed": 0}, lambda: inputs.sentences(16)),
    # text, read forwards
    "gpt2": _text("GPT2LMHeadModel", n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2),
    "gpt-neo": _text("GPTNeoForCausalLM", num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]]),
    "gpt-neox": _text("GPTNeoXForCausalLM"),
    "gptj": _text("GPTJForCausalLM", n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    "opt": _text("OPTForCausalLM", ffn_dim=64, word_embed_proj_dim=32),
    "bloom": _text("BloomForCausalLM", n_head=4, n_layer=2),
    "llama": _causal("LlamaForCausalLM"),
    "mistral": _causal("MistralForCausalLM", sliding_window=4),
    "mixtral": _causal("MixtralForCausalLM", num_local_experts=4),
    "qwen2": _causal("Qwen2ForCausalLM"),
    "qwen3": _causal("Qwen3ForCausalLM", head_dim=8),
    "gemma2": _causal("Gemma2ForCausalLM", head_dim=8),
    "gemma3": _causal("Gemma3ForCausalLM", head_dim=8),
    "phi3": _causal("Phi3ForCausalLM"),
    "falcon": _causal("FalconForCausalLM"),
    "olmo2": _causal("Olmo2ForCausalLM"),
    "deepseek-v3": _causal("DeepseekV3ForCausalLM", n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1,
                           moe_intermediate_size=16, q_lora_rank=16, kv_lora_rank=16, qk_nope_head_dim=8,
                           qk_rope_head_dim=8, v_head_dim=8, first_k_dense_replace=1, num_key_value_heads=4),
    "gpt-oss": _causal("GptOssForCausalLM", num_local_experts=4, num_experts_per_tok=2, head_dim=8),
    "mamba": _text("MambaForCausalLM", state_size=8, time_step_rank=4, bos_token_id=1, eos_token_id=2),
    "mamba2": _text("Mamba2ForCausalLM", state_size=8, num_heads=8, head_dim=8, n_groups=2, expand=2, chunk_size=4,
                    bos_token_id=1, eos_token_id=2),
    "jamba": _causal("JambaForCausalLM", num_experts=2, attn_layer_offset=1, attn_layer_period=2, mamba_d_state=8,
                     mamba_dt_rank=4, use_mamba_kernels=False),
    "recurrent-gemma": _causal("RecurrentGemmaForCausalLM", lru_width=32, num_hidden_layers=3, head_dim=8,
                               attention_window_size=8),
    "rwkv": _text("RwkvForCausalLM", attention_hidden_size=32, context_length=32),
    # text to text
    "t5": Family("T5ForConditionalGeneration", {
        "vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "pad_token_id": 0,
        "decoder_start_token_id": 0}, inputs.sentence_pairs),
    "bart": _pair("BartForConditionalGeneration", forced_eos_token_id=None),
    "pegasus": _pair("PegasusForConditionalGeneration", forced_eos_token_id=None),
    "prophetnet": Family("ProphetNetForConditionalGeneration", {
        "vocab_size": 99, "hidden_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2, "encoder_ffn_dim": 64,
        "num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4, "decoder_ffn_dim": 64, "ngram": 2,
        "max_position_embeddings": 64, "pad_token_id": 0, "decoder_start_token_id": 1}, inputs.sentence_pairs),
    # images
    "vit": _image("ViTForImageClassification"),
    "deit": _image("DeiTForImageClassification"),
    "beit": _image("BeitForImageClassification"),
    "dinov2": _image("Dinov2ForImageClassification"),
    "vit-mae": _image("ViTMAEForPreTraining", decoder_hidden_size=32, decoder_num_hidden_layers=1,
                      decoder_num_attention_heads=4, decoder_intermediate_size=64),
    "yolos": _image("YolosForObjectDetection", image_size=[32, 32], num_detection_tokens=5),
    "swin": _pyramid("SwinForImageClassification", image_size=32, patch_size=4, embed_dim=16, depths=[2, 2],
                     num_heads=[2, 4], window_size=4),
    "swinv2": _pyramid("Swinv2ForImageClassification", image_size=32, patch_size=4, embed_dim=16, depths=[2, 2],
                       num_heads=[2, 4], window_size=4),
    "convnext": _pyramid("ConvNextForImageClassification", hidden_sizes=[16, 32], depths=[1, 1], num_stages=2),
    "convnextv2": _pyramid("ConvNextV2ForImageClassification", hidden_sizes=[16, 32], depths=[1, 1], num_stages=2),
    "resnet": _pyramid("ResNetForImageClassification", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 2],
                       layer_type="basic"),
    "regnet": _pyramid("RegNetForImageClassification", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 2],
                       groups_width=8),
    "mobilenet-v2": _pyramid("MobileNetV2ForImageClassification", depth_multiplier=0.1, min_depth=8,
                             finegrained_output=False),
    "mobilevit": _pyramid("MobileViTForImageClassification", image_size=32, hidden_sizes=[16, 24, 32],
                          neck_hidden_sizes=[8, 8, 16, 24, 32, 32, 32], num_attention_heads=4),
    "segformer": _pyramid("SegformerForSemanticSegmentation", num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1],
                          hidden_sizes=[16, 32], patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[2, 4],
                          mlp_ratios=[2, 2], decoder_hidden_size=32),
    "poolformer": _pyramid("PoolFormerForImageClassification", depths=[1, 1], hidden_sizes=[16, 32],
                           num_encoder_blocks=2, patch_sizes=[7, 3], strides=[4, 2], padding=[2, 1], mlp_ratio=2.0),
    "pvt": _pyramid("PvtForImageClassification", image_size=32, num_encoder_blocks=2, depths=[1, 1],
                    hidden_sizes=[16, 32], patch_sizes=[4, 2], strides=[4, 2], num_attention_heads=[2, 4],
                    sequence_reduction_ratios=[2, 1], mlp_ratios=[2, 2]),
    "efficientnet": _pyramid("EfficientNetForImageClassification", image_size=32, width_coefficient=0.25,
                             depth_coefficient=0.25, hidden_dim=320),
    "focalnet": _pyramid("FocalNetForImageClassification", image_size=32, patch_size=4, embed_dim=16, depths=[1, 1],
                         hidden_sizes=[16, 32], focal_levels=[1, 1], focal_windows=[3, 3]),
    "levit": Family("LevitForImageClassification", {
        "image_size": 64, "hidden_sizes": [16, 32, 48], "num_attention_heads": [1, 2, 3], "depths": [1, 1, 1],
        "key_dim": [8, 8, 8], "down_ops": [["Subsample", 8, 2, 4, 2, 2], ["Subsample", 8, 4, 4, 2, 2]],
        "mlp_ratio": [2, 2, 2], "attention_ratio": [2, 2, 2]}, lambda: inputs.images(64)),
    "videomae": Family("VideoMAEForVideoClassification", _IMAGE | {"num_frames": 4, "tubelet_size": 2}, inputs.films),
    # sound
    "wav2vec2": _speech("Wav2Vec2ForCTC"),
    "hubert": _speech("HubertForCTC"),
    "wavlm": _speech("WavLMForCTC"),
    "whisper": Family("WhisperForConditionalGeneration", _ENCODER_DECODER | {
        "num_mel_bins": 8, "max_source_positions": 16, "max_target_positions": 16}, inputs.spectra),
    "audio-spectrogram-transformer": Family("ASTForAudioClassification", _IMAGE | {
        "num_mel_bins": 16, "max_length": 32}, lambda: inputs.features("input_values", 32, 16)),
    # several kinds at once
    "clip": Family("CLIPModel", {
        "projection_dim": 16, "text_config": _TEXT | {"eos_token_id": 2, "projection_dim": 16},
        "vision_config": _IMAGE | {"projection_dim": 16}}, inputs.captioned),
    "siglip": Family("SiglipModel", {"text_config": _TEXT | {"projection_size": 32}, "vision_config": _IMAGE},
                     inputs.captioned),
    "blip": Family("BlipModel", {
        "projection_dim": 16, "text_config": _TEXT | {"encoder_hidden_size": 32}, "vision_config": _IMAGE},
        inputs.captioned),
    "vilt": Family("ViltForImageAndTextRetrieval", _TEXT | {"image_size": 32, "patch_size": 8, "max_image_length": -1},
                   inputs.captioned),
    "perceiver": Family("PerceiverForMaskedLM", _TEXT | {
        "d_model": 32, "d_latents": 16, "num_latents": 8, "num_self_attends_per_block": 1,
        "num_self_attention_heads": 2, "num_cross_attention_heads": 2, "max_position_embeddings": 12},
        inputs.sentences),
    # series
    "patchtst": Family("PatchTSTForPrediction", {
        "num_input_channels": 3, "context_length": 16, "patch_length": 4, "patch_stride": 4, "d_model": 32,
        "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, "prediction_length": 4},
        lambda: inputs.features("past_values", 16, 3)),
    "time-series-transformer": Family("TimeSeriesTransformerForPrediction", {
        "prediction_length": 4, "context_length": 12, "lags_sequence": [1, 2], "num_time_features": 2, "d_model": 32,
        "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}, inputs.series),
    "decision-transformer": Family("DecisionTransformerModel", {
        "state_dim": 5, "act_dim": 3, "hidden_size": 32, "n_layer": 2, "n_head": 4, "max_ep_len": 32}, inputs.episodes),
    # timm
    "timm vit": _timm("vit_tiny_patch16_224", img_size=64, embed_dim=32, depth=2, num_heads=4),
    "timm resnetv2": _timm("resnetv2_50", layers=(1, 1), channels=(16, 32), stem_chs=16),
    "timm densenet": _timm("densenet121", growth_rate=8, block_config=(2, 2)),
    "timm cait": _timm("cait_xxs24_224", img_size=64, embed_dim=32, depth=2, num_heads=4),
    "timm xcit": _timm("xcit_nano_12_p16_224", img_size=64, embed_dim=32, depth=2, num_heads=4),
    "timm eva": _timm("eva02_tiny_patch14_224", 56, img_size=56, embed_dim=48, depth=2, num_heads=4),
}  # fmt: skip


_SLOW = (
    "canine", "deit", "dinov2", "efficientnet", "focalnet", "hubert", "levit", "mobilenet-v2", "mobilevit", "pegasus",
    "prophetnet", "pvt", "regnet", "swinv2", "time-series-transformer", "timm cait", "timm densenet", "timm xcit",
)  # fmt: skip
FAMILIES |= {name: replace(FAMILIES[name], slow=True) for name in _SLOW}
FAMILIES["vit-mae"] = replace(FAMILIES["vit-mae"], draws=True)  # it hides patches at random
BUILT: list[Any] = []
"""Every network that ``build`` made."""


def build(family: str) -> Any:
    """The untrained network of a family, small."""
    BUILT.append(_build(FAMILIES[family]))
    return BUILT[-1]


def _build(chosen: Family) -> Any:
    if chosen.package == "timm":
        from zoo_timm import timm

        return timm().create_model(chosen.model, pretrained=False, **chosen.options)
    import transformers

    architecture = getattr(transformers, chosen.model)
    return architecture(architecture.config_class(**chosen.options))
