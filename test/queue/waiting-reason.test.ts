import { expect } from 'chai'
import fc from 'fast-check'
import { type RecordNeeds, rank, seenBy } from '../../src/queue/records/rank.js'
import type { TrainingRecord } from '../../src/queue/trainings/training-record.js'
import {
  type HostInFleet,
  offerOf,
  takingOffers,
  waitingReason,
  whyTrainingWaits,
} from '../../src/queue/waiting-reason.js'
import { aRecord } from '../workers/a-training.js'

const record: RecordNeeds = {
  ...{
    id: 'training-2',
    kind: 'training',
    name: 'shapes',
    requires: { gpus: 0 },
    protocol: 2,
    createdAt: 100,
    avoid: [],
  },
}
const host: HostInFleet = {
  ...{ hostId: 'gpu-1', isAlive: true, isDraining: false, trainers: ['shapes'], converters: [], notServed: [] },
  ...{ protocol: 2, gpuState: null, free: 1, full: [], preflights: [] },
}
const older = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ ...record, id: `t${index}`, createdAt: 1 }))

describe('why a training waits', () => {
  const cases: readonly [string, Partial<HostInFleet>[], string | undefined, Partial<RecordNeeds>?, RecordNeeds[]?][] =
    [
      ['there is no host', [], 'no-host: No host lives, so nothing is worked on: start a worker.'],
      [
        'all hosts are offline',
        [{ isAlive: false }],
        'no-host: No host lives, so nothing is worked on: start a worker.',
      ],
      ['no host knows its trainer', [{ trainers: ['other'] }], 'unfit: No host serves trainer shapes.'],
      ['no host knows its converter', [{}], 'unfit: No host serves converter shapes.', { kind: 'conversion' }],
      [
        'GPUs are missing',
        [tooFew('gpu-1', 8, 4), tooFew('gpu-2', 8, 2), { hostId: 'cpu', trainers: [] }],
        'unfit: Needs 8 GPUs; the largest host has 4.',
      ],
      ['it needs a GPU and there is none', [tooFew('cpu', 1, 0)], 'unfit: Needs 1 GPU; the largest host has none.'],
      [
        'a record needs more GPUs than hosts lend',
        [{ gpuState: { state: 'gpus', offered: [0, 1, 2, 3], reason: null } }],
        'unfit: Needs 8 GPUs; the largest host has 4.',
        { requires: { gpus: 8 } },
      ],
      [
        'GPUs cannot be read',
        [{ trainers: [], notServed: [refusal('gpus-unreadable')] }],
        'unfit: The GPUs of gpu-1 are unreadable.',
      ],
      [
        'a preflight fails',
        [failing('gpu-3', 'python3 finds no module torch, which train.py imports in line 3.')],
        'unfit: Preflight fails on gpu-3: python3 finds no module torch, which train.py imports in line 3.',
      ],
      [
        'a preflight fails on one host and another is too small',
        [failing('gpu-3', 'no torch.'), tooFew('gpu-1', 8, 4)],
        'unfit: Host gpu-1 has 4 of 8 GPUs; preflight fails on gpu-3: no torch.',
      ],
      [
        'the first preflight has not ended',
        [{ trainers: [], notServed: [refusal('preflight-pending')] }],
        'starting: The first preflight of shapes has not ended on gpu-1.',
      ],
      [
        'a host of an older version gives a reason only',
        [{ trainers: [], notServed: [{ kind: 'trainer', name: 'shapes', reason: '2 GPUs are needed.' }] }],
        'unfit: Host gpu-1 does not serve shapes: 2 GPUs are needed.',
      ],
      [
        'its record is too new',
        [{ protocol: 1 }],
        'unfit: It was written by a newer version (protocol 2) than that of gpu-1.',
      ],
      [
        'the only host that serves it drains',
        [{ isDraining: true }],
        'draining: The only host that serves shapes drains: gpu-1.',
      ],
      [
        'all hosts that serve it drain',
        [{ isDraining: true }, { hostId: 'gpu-2', isDraining: true }, { hostId: 'cpu', trainers: ['other'] }],
        'draining: All hosts that serve shapes drain: gpu-1, gpu-2.',
      ],
      ['every place is taken', [{ free: 0 }], 'busy: Every place is taken; no training is before it.'],
      ['all slots are taken', [{ full: ['shapes'] }], 'busy: Every slot is taken; no training is before it.'],
      ['one is before it', [{ free: 0 }], 'busy: Every place is taken; 1 training is before it.', {}, older(1)],
      [
        'others are before and behind it, and one is of a trainer that only another host has',
        [{ free: 0 }],
        'busy: Every place is taken; 3 trainings are before it.',
        {},
        [...older(3), { ...record, id: 'x', createdAt: 200 }, { ...record, id: 'y', createdAt: 1, name: 'other' }],
      ],
      [
        'a draining host has a place, and a full one has none',
        [{ isDraining: true }, { hostId: 'b', free: 0 }],
        'busy: Every place is taken; no training is before it.',
      ],
      [
        'it failed on a host, and the others are full',
        [{}, { hostId: 'gpu-2', free: 0 }],
        'busy: It failed on gpu-1, and every place of other hosts is taken; no training is before it.',
        { avoid: ['gpu-1'] },
      ],
      ['it failed on a host, and no other one could take it', [{}], undefined, { avoid: ['gpu-1'] }],
      [
        'it failed on a host, and all others drain',
        [{ free: 0 }, { hostId: 'gpu-2', isDraining: true }],
        'busy: Every place is taken; no training is before it.',
        { avoid: ['gpu-1'] },
      ],
      ['a host is about to claim it', [{ free: 0 }, { hostId: 'gpu-2' }], undefined],
    ]
  for (const [title, hosts, expected, more, waiting = []] of cases) {
    it(`is said when ${title}`, () => {
      const reason = waitingReason(
        { ...record, ...more },
        { hosts: hosts.map((each) => ({ ...host, ...each })), waiting },
      )

      expect(reason && `${reason.kind}: ${reason.sentence}`).to.equal(expected)
    })
  }

  it('is its host when its data are there and the slots are lent to others', () => {
    const claimed = aRecord({ life: 'claimed', hostId: 'gpu-1' })
    const inState = (state: TrainingRecord['state']) => whyTrainingWaits({ ...claimed, state }, { hosts: [host] })

    expect(inState('train_model_downloaded')).to.include({ sentence: 'Waits for free slots on gpu-1.' })
    expect(inState('running')).to.equal(undefined)
    expect(inState('data_downloaded')).to.equal(undefined)
  })

  it('is never unfitness where a living host would claim it, and always where none can', () => {
    fc.assert(
      fc.property(anyRecord, fc.array(anyHost, { maxLength: 5 }), (needs, hosts) => {
        const living = hosts.filter(({ isAlive }) => isAlive)
        const kind = waitingReason(needs, { hosts })?.kind
        const seen = seenBy(needs, takingOffers(hosts))
        const ranks = (each: HostInFleet) => rank([{ ...seen, version: 1, intent: null }], offerOf(each)).length > 0
        const isFit = living.some(ranks)
        const hasRoom = ({ free, full }: HostInFleet) => free > 0 && !full.includes(needs.name)
        const isClaimed = living.some((each) => !each.isDraining && hasRoom(each) && ranks(each))

        if (isClaimed) expect(kind).to.equal(undefined)
        if (living.length > 0) expect(kind === 'unfit' || kind === 'starting').to.equal(!isFit)
      }),
    )
  })

  it('is one sentence with the name of what it needs or of a host, whatever the hosts announce', () => {
    fc.assert(
      fc.property(anyRecord, fc.array(anyHost, { maxLength: 5 }), (needs, hosts) => {
        const { sentence = 'A host claims it.' } = waitingReason(needs, { hosts }) ?? {}

        expect(sentence).to.match(/^[A-Z].*[^.]\.$/)
        expect(sentence).not.to.match(/undefined|null|Infinity|NaN/)
      }),
    )
  })
})

const name = fc.constantFrom('shapes', 'other')
const anyRecord: fc.Arbitrary<RecordNeeds> = fc.record({
  id: fc.constantFrom('a', 'b'),
  kind: fc.constantFrom('training', 'conversion'),
  name,
  requires: fc.record({ gpus: fc.integer({ min: 0, max: 4 }) }),
  protocol: fc.integer({ min: 1, max: 3 }),
  createdAt: fc.integer({ min: 0, max: 9 }),
  avoid: fc.subarray(['gpu-1', 'gpu-2']),
})
const anyRefusal = fc.record({
  kind: fc.constantFrom('trainer' as const, 'converter' as const),
  name,
  reason: fc.constant('A reason.'),
  cause: fc.constantFrom(
    'too-few-gpus' as const,
    'gpus-unreadable' as const,
    'preflight-pending' as const,
    'preflight-failed' as const,
    undefined,
  ),
  gpus: fc.option(fc.record({ wanted: fc.integer({ min: 1, max: 8 }), offered: fc.integer({ min: 0, max: 4 }) }), {
    nil: undefined,
  }),
})
// A host either serves a name or says why not.
const anyHost: fc.Arbitrary<HostInFleet> = fc
  .record({
    hostId: fc.constantFrom('gpu-1', 'gpu-2'),
    isAlive: fc.boolean(),
    isDraining: fc.boolean(),
    trainers: fc.subarray(['shapes', 'other']),
    converters: fc.subarray(['shapes', 'other']),
    notServed: fc.array(anyRefusal, { maxLength: 3 }),
    protocol: fc.constantFrom(undefined, 1, 2, 3),
    gpuState: fc.constantFrom<HostInFleet['gpuState']>(null, { state: 'gpus', offered: [0, 1], reason: null }),
    free: fc.integer({ min: 0, max: 2 }),
    full: fc.subarray(['shapes', 'other']),
    preflights: fc.constant<HostInFleet['preflights']>([]),
  })
  .map((each) => ({
    ...each,
    notServed: each.notServed.filter(
      ({ kind, name: refused }) => !(kind === 'trainer' ? each.trainers : each.converters).includes(refused),
    ),
  }))

function refusal(cause: HostInFleet['notServed'][number]['cause'], more = {}): HostInFleet['notServed'][number] {
  return { kind: 'trainer', name: 'shapes', reason: 'A reason.', cause, ...more }
}

function tooFew(hostId: string, wanted: number, offered: number): Partial<HostInFleet> {
  return { hostId, trainers: [], notServed: [refusal('too-few-gpus', { gpus: { wanted, offered } })] }
}

function failing(hostId: string, reason: string): Partial<HostInFleet> {
  const report = { kind: 'trainer', name: 'shapes', state: 'failed', reason, notes: [], at: 1 } as const
  return { hostId, trainers: [], notServed: [refusal('preflight-failed')], preflights: [{ ...report, notes: [] }] }
}
