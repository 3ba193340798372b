// Numbers as the tables show them: about five characters.
function compact(value) {
  if (value === null || value === undefined) return "n/a";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99950 || size < 0.00095) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  if (size >= 0.00995) return value.toFixed(size >= 0.0995 ? 2 : 3);
  return String(Number(value.toPrecision(2)));
}

function share(value) {
  if (value === null || value === undefined) return "n/a";
  if (value > 0 && value < 0.001) return "<0.1%";
  return `${(100 * value).toFixed(value === 0 || value === 1 || value >= 0.0995 ? 0 : 1)}%`;
}

// Where a value stands on the colour scale of its measure, from 0 to 1.
function placeOf(measure, value) {
  const size = Math.abs(value);
  if (measure.low === 0) return Math.min(size / measure.high, 1);
  if (size <= measure.low) return 0;
  return Math.min(Math.log(size / measure.low) / Math.log(measure.high / measure.low), 1);
}

// The value at a place of the scale, for its legend.
function valueAt(measure, place) {
  if (measure.low === 0) return place * measure.high;
  return measure.low * (measure.high / measure.low) ** place;
}

function interval(low, high) {
  return low === null || low === undefined || high === null || high === undefined
    ? "" : `${compact(low)} to ${compact(high)}`;
}

