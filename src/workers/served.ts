import { GpusUnreadableError, NotEnoughGpusError } from '../executors/errors.js'
import type { GpuOffer } from '../executors/gpu/gpu-offer.js'
import { type GpuCount, refusalOf } from '../executors/gpu/slots.js'
import type { TrainingRun } from './training-run.js'

/** Why a host does not take the work of a trainer or converter, for people. */
export type NotServed = { readonly kind: 'trainer' | 'converter'; readonly name: string; readonly reason: string }

/** Those of a worker's trainers or converters that its offer does not suffice for. */
export function notServedOf(
  kind: NotServed['kind'],
  definitions: readonly { readonly name: string; readonly gpus: GpuCount }[],
  offer: GpuOffer,
): NotServed[] {
  return definitions.flatMap(({ name, gpus }) => {
    const refusal = refusalOf(offer, gpus)
    return refusal === undefined ? [] : [{ kind, name, reason: refusal.message }]
  })
}

/** What this host lacks another one may have: the work goes back to its queue and counts as nobody's failure. */
export function isForOtherHosts(error: unknown): boolean {
  return error instanceof NotEnoughGpusError || error instanceof GpusUnreadableError
}

/** What a training runs on, for people: `GPU 0, 1`, or why it is the CPU. */
export function deviceOf({ definition, lease }: Pick<TrainingRun, 'definition' | 'lease'>): string {
  const slots = lease?.slots ?? []
  if (slots.length > 0) return `GPU ${slots.join(', ')}`
  return definition.gpus === 'auto' ? 'the CPU, since this host offers no GPU (gpus: auto)' : 'the CPU (gpus: 0)'
}
