import type { Offered } from '../../queue/index.js'
import type { Run } from './pipeline.js'

const reasons: Readonly<Record<Offered, string>> = {
  created: 'ordered',
  expired: 'lease expired',
  released: 'handed back',
  'taken-back': 'earlier life of this host died',
  reopened: 'retried',
}

/** Why a host takes a record, for its log, and which host had it before. */
export function whyTaken({ offered, record }: Pick<Run<unknown>, 'offered' | 'record'>) {
  return { reason: reasons[offered], ...(record.host !== null && { lastHost: record.host }) }
}
