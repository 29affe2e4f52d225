/** Rounds as Python's `round` and OpenCV's `cvRound` do: a half goes to the even neighbour. */
export function roundToEven(value: number): number {
  const floor = Math.floor(value)
  return value - floor === 0.5 ? floor + Math.abs(floor % 2) : Math.round(value)
}
