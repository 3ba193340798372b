"""What the instances are: one line each; ``instances.py`` says what the columns mean."""

HEADER = "data kind act width depth norm init optimizer batch"

TABLES: dict[str, str] = {}

TABLES["mlp"] = """
digits            sequential relu    32 5 none       he        sgd      32
digits-unit       sequential sigmoid 32 3 none       default   adam     32
digits            chain      RELU    32 4 batch      he        sgd      32
cancer            sequential tanh    24 4 none       drawn     sgd      32
digits            sequential relu    32 3 layer      he        adam     32
wine-raw          sequential relu    24 3 none       he        adam     16
digits-raw        chain      TANH    32 4 none       default   momentum 32
diabetes          sequential relu    24 3 most-layer he        adam     32
digits            sequential relu    32 6 none       all/4     adam     32
digits            chain      GELU    32 4 none       one*8     sgd      32
cancer            sequential relu    24 3 most-batch he        momentum 32
diabetes          sequential tanh    24 3 none       he        sgd      32
cancer-raw        sequential relu    24 4 none       default   adam     32
digits            sequential relu    32 7 none       default   momentum 32
digits            chain      ELU     32 5 none       bias*3    adam     32
diabetes-raw      sequential sigmoid 24 3 none       drawn     adam     32
digits-unit       sequential leaky   32 5 none       drawn     sgd      64
wine              sequential tanh    24 3 most-layer default   sgd      32
digits            chain      RELU    48 4 none       all*3     momentum 32
"""

TABLES["conv"] = """
digit-images      flat relu    8  4 none       he        sgd      32
digit-images-unit pool relu    12 3 none       default   adam     32
digit-images      pool RELU    12 3 batch      he        sgd      32
photos            flat tanh    8  4 none       drawn     sgd      32
photos-unit       pool relu    8  4 none       drawn     adam     32
digit-images-raw  flat relu    8  3 none       default   sgd      32
digit-images      flat relu    8  3 most-batch he        adam     32
digit-images      pool gelu    12 4 none       one/10    adam     32
photos            flat RELU    8  3 most-layer he        momentum 32
digit-images-unit flat sigmoid 8  3 none       default   adam     32
digit-images      flat elu     8  4 none       bias*3    momentum 32
photos            pool relu    12 3 batch      default   adam     32
digit-images      flat RELU    8  5 none       all/4     sgd      32
photos-unit       flat leaky   8  4 none       all*4     adam     32
digit-images      flat relu    8  4 most-batch drawn     sgd      32
digit-images-raw  pool tanh    12 3 none       he        adam     32
photos            flat gelu    8  3 layer      he        adam     32
digit-images      pool RELU    12 4 none       drawn     momentum 32
digit-images      flat tanh    8  4 none       one*8     sgd      32
"""

TABLES["residual"] = """
digits            dense relu    32 3 none       he        sgd      32
digits            dense relu    32 3 none       zero      adam     32
digit-images      conv  relu    8  2 none       default   sgd      32
digits            dense gelu    32 3 pre-layer  he        adam     32
cancer            dense tanh    24 3 none       drawn     sgd      32
digits-unit       dense relu    32 3 none       default   momentum 32
digit-images      conv  relu    8  2 pre-batch  he        adam     32
diabetes          dense relu    24 3 none       zero      adam     32
digits            dense RELU    32 4 none       all*2     adam     32
photos            conv  relu    8  2 none       he        adam     32
digits            dense relu    32 3 post-layer he        sgd      32
digits-raw        dense gelu    32 3 none       zero      sgd      32
diabetes          dense relu    24 3 pre-layer  default   sgd      32
digit-images-unit conv  relu    8  2 none       zero      adam     32
digits            dense elu     32 4 none       one*8     sgd      32
cancer-raw        dense relu    24 3 none       he        adam     32
photos            conv  RELU    8  2 pre-batch  default   momentum 32
digits            dense tanh    32 3 none       bias*3    adam     32
wine              dense gelu    24 3 pre-layer  zero      adam     32
"""

TABLES["transformer"] = """
digit-rows        hand    gelu 16 2 none       default   adam     16
text              hand    gelu 16 1 pre-layer  default   adam     16
digit-rows        encoder relu 16 1 pre-layer  default   adam     32
digit-patches     hand    RELU 16 1 none       he        sgd      16
text              encoder relu 16 1 post-layer default   adam     16
digit-rows        hand    relu 16 2 post-layer he        sgd      16
text              hand    gelu 24 2 none       default   adam     16
digit-rows        hand    gelu 16 1 none       drawn     momentum 32
text              hand    relu 16 2 pre-layer  zero      adam     16
digit-rows-raw    hand    relu 16 1 none       default   adam     32
digit-rows        encoder gelu 16 1 post-layer he        momentum 32
text              hand    gelu 16 1 none       all*2     adam     16
digit-rows        hand    GELU 16 2 none       zero      adam     16
digit-patches     encoder gelu 16 1 pre-layer  default   adam     16
text              hand    relu 16 1 none       drawn     sgd      16
digit-rows        hand    gelu 16 2 none       one*8     adam     16
text              encoder gelu 24 1 pre-layer  he        momentum 16
digit-rows        hand    relu 24 1 none       all/4     sgd      32
text              hand    gelu 16 2 none       zero      momentum 16
"""

TABLES["recurrent"] = """
digit-rows        rnn  tanh    16 1 none       default   sgd      32
digit-rows        gru  relu    16 1 none       he        adam     32
digit-rows        lstm tanh    16 1 none       default   adam     32
text              rnn  tanh    16 1 none       default   adam     16
digit-rows        rnn  relu    16 2 none       drawn     momentum 32
text              lstm tanh    16 1 layer      default   adam     16
digit-rows-raw    rnn  tanh    16 1 none       default   adam     32
digit-rows        gru  relu    16 1 layer      default   adam     32
text              gru  gelu    16 2 none       he        adam     16
digit-rows        lstm RELU    16 1 none       all*4     sgd      32
digit-rows        rnn  tanh    16 2 most-layer he        sgd      32
text              rnn  relu    16 1 none       one*8     momentum 16
digit-rows        gru  TANH    16 1 none       bias*3    sgd      32
text              rnn  relu    24 1 layer      he        adam     16
digit-rows        lstm elu     16 1 none       all/4     adam     32
digit-rows-raw    gru  relu    16 1 none       he        momentum 32
text              rnn  gelu    16 1 most-layer default   sgd      16
digit-rows        rnn  elu     24 2 none       all*4     adam     32
digit-rows        rnn  RELU    16 1 none       one/10    sgd      32
"""

TABLES["autoencoder"] = """
digits-itself       dense tanh    32 3 none       default   adam     32
digits-unit-itself  dense relu    32 3 none       he        sgd      32
digits-itself       dense sigmoid 32 2 none       default   adam     32
photos-itself       conv  relu    8  3 none       he        adam     32
digits-itself       dense relu    32 3 batch      he        adam     32
cancer-itself       dense tanh    24 2 none       drawn     sgd      32
digits-itself       dense RELU    32 3 most-layer default   adam     32
digits-itself       dense relu    32 3 none       drawn     momentum 32
photos-itself       conv  tanh    8  3 none       default   sgd      32
cancer-itself       dense relu    24 2 batch      he        momentum 32
digits-unit-itself  dense gelu    48 3 none       all/4     adam     32
digits-itself       dense ELU     32 2 none       bias*3    adam     32
photos-itself       conv  relu    8  3 batch      he        adam     32
digits-itself       dense tanh    32 3 none       all*4     sgd      32
digit-images-itself conv  RELU    8  3 none       drawn     adam     32
cancer-itself       dense leaky   24 3 none       default   adam     32
digits-itself       dense tanh    32 2 most-batch he        sgd      32
digits-itself       dense relu    32 3 none       one*8     adam     32
photos-itself       conv  elu     8  3 most-layer he        momentum 32
"""
