import { z } from 'zod'
import type { RedisLink } from './open-redis.js'
import type { Subscription } from './subscriptions.js'

const messageSchema = z.object({
  trainingId: z.string(),
  /** Kill its program, as if it had died. */
  kill: z.boolean().optional(),
  /** A line for the mock trainer. */
  line: z.record(z.string(), z.unknown()).optional(),
})
/** What a test does to a training in work; nothing of it is durable. */
export type BackdoorMessage = z.infer<typeof messageSchema>

/** From the endpoints of a trainer node to the worker that has the training (USE_BACKDOOR_CONTROLS on both). */
export type Backdoor = {
  tell(message: BackdoorMessage): Promise<void>
  watch(onMessage: (message: BackdoorMessage) => void): Promise<Subscription>
}

export function createBackdoor(link: Pick<RedisLink, 'client' | 'subscribe' | 'prefix'>): Backdoor {
  const channel = `${link.prefix}:backdoor`
  return {
    async tell(message) {
      await link.client.publish(channel, JSON.stringify(message))
    },
    watch: (onMessage) =>
      link.subscribe(channel, (text) => {
        const parsed = messageSchema.safeParse(JSON.parse(text))
        if (parsed.success) onMessage(parsed.data)
      }),
  }
}
