import { z } from 'zod'
import { luaScript, type RedisLink } from '../redis/index.js'

const curvePointSchema = z.object({ epoch: z.int().min(0), values: z.record(z.string(), z.number()) })
/** What a trainer measured at the end of an epoch, by the trainer's own names. */
export type CurvePoint = z.infer<typeof curvePointSchema>

/** The metrics of each training over its epochs, for the curves that people look at. */
export type TrainingCurve = {
  /** The last one of an epoch counts, since a resumed training repeats some. */
  addPoints(id: string, points: readonly CurvePoint[]): Promise<void>
  /** By epoch; empty if the trainer reports none. */
  readCurve(id: string): Promise<readonly CurvePoint[]>
}

const MAX_POINTS = 2000
const MAX_NAMES = 40
const KEEP_SECONDS = 90 * 86_400

// When it is full, every other epoch goes: a curve of any length keeps its shape in bounded memory.
const ADD = luaScript(`
for at = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then
    local epochs = redis.call('HKEYS', KEYS[1])
    table.sort(epochs, function(a, b) return tonumber(a) < tonumber(b) end)
    for i = 2, #epochs - 1, 2 do redis.call('HDEL', KEYS[1], epochs[i]) end
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`)

export function createTrainingCurve(link: RedisLink, keys: { readonly curve: (id: string) => string }): TrainingCurve {
  return {
    async addPoints(id, points) {
      const pairs = points.flatMap(({ epoch, values }) => {
        const kept = Object.fromEntries(Object.entries(values).slice(0, MAX_NAMES))
        return [epoch, JSON.stringify(kept)]
      })
      await ADD(link.client, [keys.curve(id)], [MAX_POINTS, KEEP_SECONDS, ...pairs])
    },
    async readCurve(id) {
      const hash = await link.client.hgetall(keys.curve(id))
      return Object.entries(hash)
        .flatMap(([epoch, text]) => {
          const point = curvePointSchema.safeParse({ epoch: Number(epoch), values: tryJson(text) })
          return point.success ? [point.data] : []
        })
        .sort((a, b) => a.epoch - b.epoch)
    },
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the schema refuses it
  }
}
