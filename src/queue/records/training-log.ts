import { luaScript, type RedisLink } from '../redis/index.js'
import { KEPT_LOG_S } from './lua-records.js'

export type LogEntry = {
  /** Where reading goes on: give it as `from`. */
  readonly cursor: string
  readonly text: string
  /** How many bytes were logged before it, also those that have gone since. */
  readonly offset: number
}

/** The end of each training's log in Redis, so that every machine can follow it; the whole log lies on the host. */
export type TrainingLog = {
  /** Adds lines, each with its line end; the oldest go when a megabyte is full. */
  appendLog(id: string, text: string): Promise<void>
  /** What is kept after `from` (from the beginning without it), or only the last `limit` entries without `from`. */
  readLog(id: string, options?: { readonly from?: string; readonly limit?: number }): Promise<readonly LogEntry[]>
  /** All that is kept and then what comes, until the training has ended or the signal aborts; neither throws. */
  followLog(id: string, options: { readonly signal: AbortSignal }): AsyncIterable<string>
}

const MAX_BYTES = 1_048_576
const MAX_ENTRY = 65_536
const BLOCK_MS = 1_000
/** The last lines come at the pace of their writer, and may come after the record says that it has ended. */
const LINGER_MS = 1_500

// Each entry knows how many bytes came before it, so the size of what is kept needs no counter of its own.
// What has no record at work gets its last lines after its end, or a cut-off host still writes: those go with the others.
const APPEND = luaScript(`
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local total = 0
if last then total = tonumber(last[2][2]) + #last[2][4] end
redis.call('XADD', KEYS[1], '*', 'offset', string.format('%.0f', total), 'text', ARGV[1])
total = total + #ARGV[1]
while true do
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if total - tonumber(first[2][2]) <= tonumber(ARGV[2]) then break end
  redis.call('XDEL', KEYS[1], first[1])
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', 20000)
local life = redis.call('HGET', KEYS[2], 'life')
if life ~= 'waiting' and life ~= 'claimed' then redis.call('EXPIRE', KEYS[1], ${KEPT_LOG_S}) end
return 1`)

export function createTrainingLog(
  link: RedisLink,
  keys: { readonly log: (id: string) => string; readonly record: (id: string) => string },
  hasEnded: (id: string) => Promise<boolean>,
): TrainingLog {
  return {
    async appendLog(id, text) {
      for (let start = 0; start < text.length; start += MAX_ENTRY) {
        await APPEND(link.client, [keys.log(id), keys.record(id)], [text.slice(start, start + MAX_ENTRY), MAX_BYTES])
      }
    },

    async readLog(id, { from, limit = 1_000 } = {}) {
      const key = keys.log(id)
      if (from !== undefined) return (await link.client.xrange(key, `(${from}`, '+', 'COUNT', limit)).map(toEntry)
      return (await link.client.xrevrange(key, '+', '-', 'COUNT', limit)).map(toEntry).reverse()
    },

    async *followLog(id, { signal }) {
      if (signal.aborted) return
      // A blocking read needs a connection of its own; cutting it is the only way to end the read early.
      const reader = link.duplicate()
      const cut = () => reader.disconnect()
      signal.addEventListener('abort', cut, { once: true })
      let from = '0-0'
      let wasLive = false
      try {
        while (!signal.aborted) {
          const isLastLook = await hasEnded(id)
          const streams = await reader.xread(
            'COUNT',
            500,
            'BLOCK',
            isLastLook ? (wasLive ? LINGER_MS : 1) : BLOCK_MS,
            'STREAMS',
            keys.log(id),
            from,
          )
          const entries = (streams?.[0]?.[1] ?? []).map(toEntry)
          for (const entry of entries) yield entry.text
          from = entries.at(-1)?.cursor ?? from
          if (isLastLook && entries.length === 0) return
          wasLive ||= !isLastLook
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        signal.removeEventListener('abort', cut)
        cut()
      }
    },
  }
}

function toEntry([cursor, fields]: [string, string[]]): LogEntry {
  return { cursor, text: fields[3] ?? '', offset: Number(fields[1] ?? 0) }
}
