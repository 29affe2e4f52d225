/** Local time as `YYYY-MM-DD_HH:MM:SS.mmm`, the spelling of the nodes. */
export function toLocalTimestamp(at: Date): string {
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')
  const time = [two(at.getHours()), two(at.getMinutes()), two(at.getSeconds())].join(':')
  return `${day}_${time}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
