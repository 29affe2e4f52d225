/** The wait an answer asks for (`Retry-After` in seconds or as a date), between 0.1 s and the limit; undefined if it asks for none. */
export function retryAfterMs(headers: Readonly<Record<string, string>>, maxMs: number): number | undefined {
  const text = headers['retry-after']?.trim()
  if (text === undefined || text === '') return undefined
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : untilDate(text, headers.date)
  return ms === undefined ? undefined : Math.min(Math.max(ms, 100), maxMs)
}

/** Measured by the Loop's own clock where it tells it, since ours may be an hour off. */
function untilDate(text: string, now: string | undefined): number | undefined {
  const until = Date.parse(text)
  if (Number.isNaN(until)) return undefined
  const from = now === undefined ? Number.NaN : Date.parse(now)
  return until - (Number.isNaN(from) ? Date.now() : from)
}
