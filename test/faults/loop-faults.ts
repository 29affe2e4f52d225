import type { FaultRule } from '../../src/mock/loop/index.js'
import { upTo } from '../helpers/random.js'
import type { Fault } from './cells.js'
import type { StageCase } from './stage-cases.js'

const MOST_IN_A_ROW = 2

/** What the Loop does wrong in a cell, once or a few times; nothing for faults that are none of the Loop's answers. */
export function loopFaults(fault: Fault, { asks }: StageCase, random: () => number): readonly FaultRule[] {
  const what = answerOf(fault)
  if (what === undefined) return []
  const inARow = 1 + upTo(MOST_IN_A_ROW - 1, random)
  const times = fault === 'status-500' || fault === 'too-many' ? inARow : 1
  if (asks !== undefined) return [{ match: asks.match, ...what, times, after: upTo(asks.times - 1, random) }]
  // Only the node speaks now; whatever the worker asks next is hit as well.
  const node = { match: { event: 'update_trainer' }, ...what, times }
  return [node, { match: { method: 'GET' }, ...what, times }]
}

function answerOf(fault: Fault): Pick<FaultRule, 'kind' | 'status' | 'retryAfter'> | undefined {
  switch (fault) {
    case 'status-500':
      return { kind: 'status', status: 500 }
    case 'too-many':
      return { kind: 'too-many-requests' }
    case 'too-many-retry-after':
      return { kind: 'too-many-requests', retryAfter: 1 }
    case 'session-expired':
      return { kind: 'expire-sessions' }
    case 'answer-lost':
      return { kind: 'lost-answer' }
    case 'answer-short':
      return { kind: 'truncate' }
    case 'answer-cut':
      return { kind: 'cut' }
    case 'worker-killed':
    case 'node-killed':
    case 'host-killed':
    case 'loop-away':
      return undefined
    default:
      return fault satisfies never
  }
}
