import { expect } from 'chai'
import type { KnownAttempt } from '../../../src/queue/blame/known-attempts.js'
import { type HostToJudge, suspensionsOf } from '../../../src/queue/blame/suspensions.js'

const MINUTE = 60_000
const gpu = (index: number) => ({ key: `GPU-${index}`, index })
const serves = (name: string, more = {}) =>
  ({ kind: 'training', name, gpus: 1, isServedElsewhere: true, ...more }) as const

function attempt(
  at: number,
  [outcome, id, hostId, index]: readonly [KnownAttempt['outcome'], string, string, number?],
  more: Partial<KnownAttempt> = {},
): KnownAttempt {
  const name = id.startsWith('p') ? 'pets' : 'shapes'
  const gpus = index === undefined ? [] : [gpu(index)]
  const cause = outcome === 'failed' ? 'program' : null
  const times = { at: at * MINUTE, startedAt: at * MINUTE - 1_000 }
  return {
    kind: 'training',
    name,
    id,
    hostId,
    gpus,
    outcome,
    cause,
    hasWorked: outcome !== 'failed',
    ...times,
    ...more,
  }
}

function suspended(attempts: readonly KnownAttempt[], more: Partial<HostToJudge> = {}): string[] {
  const host = { hostId: 'a', resumedAt: 0, gpus: [gpu(0), gpu(1)], serves: [serves('shapes'), serves('pets')] }
  return suspensionsOf({ ...host, attempts, now: 10 * MINUTE, ...more }).map(
    ({ place, isOnTrial, why }) =>
      `${'gpu' in place ? `GPU ${place.gpu.index}` : place.name}${isOnTrial ? ' on trial' : ''}, ${why}`,
  )
}

describe('what is suspended', () => {
  const twice = [attempt(1, ['failed', 's1', 'a', 0]), attempt(2, ['failed', 's1', 'a', 1])]
  const elsewhere = attempt(3, ['worked', 's1', 'b', 0])
  const oneCard = [
    attempt(1, ['failed', 's1', 'a', 0]),
    attempt(2, ['worked', 's1', 'a', 1]),
    attempt(3, ['failed', 's2', 'a', 0]),
    attempt(4, ['worked', 's2', 'a', 1]),
  ]

  const cases: readonly [string, KnownAttempt[], string[], Partial<HostToJudge>?][] = [
    ['a trainer that failed twice and worked on another host', [...twice, elsewhere], ['shapes, contrast']],
    ['not a trainer that fails on all hosts', [...twice, attempt(3, ['failed', 's1', 'b', 0])], []],
    ['not a trainer that failed once and worked on another host', [...twice.slice(1), elsewhere], []],
    ['not a trainer whose other orders work elsewhere', [...twice, attempt(3, ['worked', 's9', 'b', 0])], []],
    ['not a trainer that works here since', [...twice, elsewhere, attempt(4, ['worked', 's2', 'a', 1])], []],
    [
      'two trainers that failed once each, without a choice of GPUs, and worked elsewhere',
      [
        ...[attempt(1, ['failed', 's1', 'a', 0]), attempt(2, ['failed', 'p1', 'a', 0])],
        ...[attempt(3, ['worked', 's1', 'b']), attempt(4, ['worked', 'p1', 'b'])],
      ],
      ['shapes, contrast', 'pets, contrast'],
      { gpus: [gpu(0)] },
    ],
    [
      'neither of two trainers that failed once each on different GPUs',
      [
        ...[attempt(1, ['failed', 's1', 'a', 0]), attempt(2, ['failed', 'p1', 'a', 1])],
        ...[attempt(3, ['worked', 's1', 'b']), attempt(4, ['worked', 'p1', 'b'])],
      ],
      [],
    ],
    ['nothing for want of memory', [...twice.map((each) => ({ ...each, cause: 'memory' as const })), elsewhere], []],
    [
      'nothing for programs that failed after they had worked',
      [...twice.map((each) => ({ ...each, hasWorked: true })), elsewhere],
      [],
    ],
    [
      'not a trainer that no other living host serves',
      [...twice, elsewhere],
      [],
      { serves: [serves('shapes', { isServedElsewhere: false })] },
    ],
    ['a GPU on which programs failed that worked on the other one', oneCard, ['GPU 0, contrast']],
    [
      'no trainer for the failures of one GPU',
      [
        ...[attempt(1, ['failed', 's1', 'a', 0]), attempt(2, ['failed', 's1', 'a', 0]), elsewhere],
        attempt(4, ['worked', 's2', 'a', 1], { startedAt: 0 }),
      ],
      ['GPU 0, contrast'],
    ],
    [
      'not the last GPUs of a trainer that only this host serves',
      oneCard,
      [],
      { serves: [serves('shapes', { isServedElsewhere: false, gpus: 2 })] },
    ],
    [
      'a GPU with an ECC or XID error, also the last one',
      [attempt(1, ['failed', 's1', 'a', 0], { cause: 'gpu', hasWorked: false })],
      ['GPU 0, gpu-error'],
      { gpus: [gpu(0)], serves: [serves('shapes', { isServedElsewhere: false })] },
    ],
    [
      'one of two GPUs with an ECC or XID error, when the other one has worked since',
      [
        attempt(1, ['failed', 's1', 'a'], { cause: 'gpu', gpus: [gpu(0), gpu(1)] }),
        attempt(2, ['worked', 's2', 'a', 1]),
      ],
      ['GPU 0, gpu-error'],
    ],
    [
      'a trainer on trial, ten minutes later',
      [...twice, elsewhere],
      ['shapes on trial, contrast'],
      { now: 13 * MINUTE },
    ],
    [
      'a trainer again, whose trial failed',
      [...twice, elsewhere, attempt(14, ['failed', 's3', 'a', 0])],
      ['shapes, contrast'],
      { now: 15 * MINUTE },
    ],
    ['nothing since a person or a restart lifted it', [...twice, elsewhere], [], { resumedAt: 4 * MINUTE }],
    ['nothing of failures of another host', [...twice, elsewhere], [], { hostId: 'c' }],
  ]
  for (const [title, attempts, expected, more] of cases) {
    it(`is ${title} of a host`, () => {
      expect(suspended(attempts, more)).to.deep.equal(expected)
    })
  }
})
