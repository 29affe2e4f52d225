/** Two names are near when they differ by at most two letters added, dropped or changed. */
export function isNear(left: string, right: string): boolean {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (const [leftIndex, letter] of [...left].entries()) {
    const next = [leftIndex + 1]
    for (const [rightIndex, other] of [...right].entries()) {
      const changed = (row[rightIndex] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(changed, (row[rightIndex + 1] ?? 0) + 1, (next[rightIndex] ?? 0) + 1))
    }
    row = next
  }
  return (row[right.length] ?? Number.POSITIVE_INFINITY) <= 2
}
