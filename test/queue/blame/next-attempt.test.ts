import { expect } from 'chai'
import { causeOf, type FailedAttempt } from '../../../src/queue/blame/attempt.js'
import { type FailedWork, gpusToSpare, nextAttempt } from '../../../src/queue/blame/next-attempt.js'

const failure: FailedAttempt = {
  ...{
    at: 1_000_000,
    stage: 'train',
    hostId: 'a',
    gpus: [],
    gpusOffered: 0,
    name: 'shapes',
    cause: 'program',
    epoch: null,
    seconds: 5,
  },
  ...{ isCounted: true, isOnTrial: false },
}
const on = (hostId: string, more: Partial<FailedAttempt> = {}): FailedAttempt => ({ ...failure, hostId, ...more })
const work: FailedWork = { failures: [], counted: 0, mayLeave: true, others: [], proven: [] }
const gpu = (index: number) => ({ key: `GPU-${index}`, index })
const elsewhere = (avoid: string[], avoidMs?: number) => ({ next: 'elsewhere', avoid, avoidMs })

describe('what follows a failed attempt', () => {
  const cases: readonly [string, Partial<FailedWork>, unknown][] = [
    ['another one on the host', { failures: [on('a')], counted: 1, others: ['b'] }, { next: 'here' }],
    [
      'the last one on another host for a minute',
      { failures: [on('a'), on('a')], counted: 2, others: ['b'] },
      elsewhere(['a'], 60_000),
    ],
    ['the last one here if no other host is fit', { failures: [on('a'), on('a')], counted: 2 }, { next: 'here' }],
    [
      'the last one here if another host would lose what it has brought',
      { failures: [on('a'), on('a')], counted: 2, others: ['b'], mayLeave: false },
      { next: 'here' },
    ],
    [
      'the end, with the only host tried',
      { failures: [on('a'), on('a'), on('a')], counted: 3 },
      { next: 'none', why: 'budget' },
    ],
    [
      'the end on every host, when all have failed it briefly',
      { failures: [on('a'), on('a'), on('b')], counted: 3, others: ['a'] },
      { next: 'none', why: 'every-host' },
    ],
    [
      'another host as long as there is one that has not tried it',
      { failures: [on('a'), on('a'), on('b')], counted: 3, others: ['a', 'c'] },
      elsewhere(['a', 'b']),
    ],
    [
      'the same if a busy fleet had no place for it in time',
      { failures: [on('a'), on('a'), on('a')], counted: 3, others: ['b'] },
      elsewhere(['a']),
    ],
    [
      'the end on every host after three on which another one has finished',
      { failures: [on('a'), on('a'), on('b'), on('c')], counted: 4, others: ['d'], proven: ['a', 'b', 'c', 'x'] },
      { next: 'none', why: 'every-host' },
    ],
    [
      'another host after two of those',
      { failures: [on('a'), on('a'), on('b')], counted: 3, others: ['d'], proven: ['a', 'b'] },
      elsewhere(['a', 'b']),
    ],
    [
      'another one here if it failed on one of several GPUs alone, which may be broken',
      { failures: [on('b'), on('b'), on('a', { gpus: [gpu(1)], gpusOffered: 2 })], counted: 3, others: ['b'] },
      { next: 'here' },
    ],
    [
      'another host if it failed on one of several GPUs of that',
      {
        failures: [on('b', { gpus: [gpu(1)], gpusOffered: 2 }), on('a'), on('a')],
        ...{ counted: 3, others: ['b'] },
      },
      elsewhere(['a']),
    ],
    [
      'the end on every host if it failed on two GPUs of each',
      {
        failures: [0, 1].map((index) => on('a', { gpus: [gpu(index)], gpusOffered: 3 })).concat(on('b')),
        ...{ counted: 3, others: ['b'] },
      },
      { next: 'none', why: 'every-host' },
    ],
    [
      'the end after three that were not brief, whatever hosts there are',
      { failures: [on('a', { seconds: 61 }), on('a', { seconds: 61 }), on('b')], counted: 3, others: ['c'] },
      { next: 'none', why: 'budget' },
    ],
    [
      'the end after three of which the first had come to an epoch',
      { failures: [on('a', { epoch: 1 }), on('a', { epoch: 1 }), on('b')], counted: 3, others: ['c'] },
      { next: 'none', why: 'budget' },
    ],
    [
      'another one here after one that does not count',
      { failures: [on('a'), on('a'), on('a', { isCounted: false, epoch: 7 })], counted: 0, others: ['b'] },
      { next: 'here' },
    ],
    [
      'another host after an attempt that was the trial of a suspended one, at no cost',
      { failures: [on('b'), on('a', { isCounted: false, isOnTrial: true })], counted: 1, others: ['c'] },
      elsewhere(['b', 'a'], 60_000),
    ],
    [
      'the end after twenty within a day, although they do not count',
      {
        failures: Array.from({ length: 20 }, (_, index) =>
          on('a', { isCounted: false, epoch: index, at: 1e9 + index }),
        ),
        others: ['b'],
      },
      { next: 'none', why: 'day' },
    ],
    [
      'another one after twenty of more than a day',
      { failures: Array.from({ length: 20 }, (_, index) => on('a', { isCounted: false, at: index * 5_000_000 })) },
      { next: 'here' },
    ],
  ]
  for (const [title, more, expected] of cases) {
    it(`is decided to be ${title}`, () => {
      expect(nextAttempt({ ...work, ...more })).to.deep.equal(expected)
    })
  }

  it('spares the GPUs of this host on which it failed', () => {
    const failures = [on('a', { gpus: [gpu(0)] }), on('b', { gpus: [gpu(3)] }), on('a', { gpus: [gpu(1)] })]

    expect(gpusToSpare(failures, 2, 'a')).to.deep.equal({ spare: ['GPU-0', 'GPU-1'], mustSpare: false })
    expect(gpusToSpare(failures, 3, 'a').mustSpare).to.equal(true)
  })
})

describe('the cause of a failure', () => {
  const program = { code: 'LF_TRAINER_EXITED', message: 'The trainer exited with code 1: it is over' }
  for (const [lines, cause] of [
    [['RuntimeError: CUDA error: uncorrectable ECC error encountered'], 'gpu'],
    [['NVRM: Xid (PCI:0000:65:00): 79, pid=1234, GPU has fallen off the bus.'], 'gpu'],
    [['NVRM: Xid (PCI:0000:65:00): 48, Double Bit ECC Error'], 'gpu'],
    [['NVRM: Xid (PCI:0000:65:00): 31, pid=12, MMU Fault'], 'program'],
    [['NVRM: Xid (PCI:0000:65:00): 13, Graphics Exception'], 'program'],
    [['ModuleNotFoundError: No module named torch'], 'program'],
  ] as const) {
    it(`is ${cause} where it says ${lines[0]}`, () => {
      expect(causeOf({ ...program, lastLogLines: lines })).to.equal(cause)
    })
  }

  it('is memory when that ran out, and a hang when it gave no sign of life', () => {
    expect(causeOf({ ...program, outOfMemory: true })).to.equal('memory')
    expect(causeOf({ code: 'LF_COMMAND_TIMED_OUT', message: 'It took too long.' })).to.equal('hung')
    expect(causeOf({ ...program, message: 'The trainer was ended: it gave no sign of life for 5 minutes' })).to.equal(
      'hung',
    )
  })
})
