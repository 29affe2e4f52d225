import { expect } from 'chai'
import { createGain } from '../../../src/workers/trainings/gain.js'
import { blamesItsStart, type Ladder, nextStart, SCRATCH_MARK } from '../../../src/workers/trainings/resume-ladder.js'

const LADDER: Ladder = {
  checkpoint: { kind: 'none' },
  failed: new Set(),
  mark: 'm1',
  hasEarlier: false,
  bestMark: undefined,
  progress: 0.5,
  scratchBelow: 0.1,
}
const with_ = (change: Partial<Ladder>) => nextStart({ ...LADDER, ...change })
const FAILED = new Set(['m1'])

describe('what a training begins with', () => {
  for (const [what, change, expected] of [
    ['the order, without any checkpoint', {}, { start: 'scratch' }],
    ['its checkpoint', { checkpoint: { kind: 'resume' } }, { start: 'resume' }],
    ['nothing, if it is finished', { checkpoint: { kind: 'finished' } }, { end: 'finished' }],
    ['an earlier one, after a resume that failed', { failed: FAILED, hasEarlier: true }, { restore: 'earlier' }],
    ['its best model, if there is no earlier one', { failed: FAILED, bestMark: 'b' }, { start: 'best-model' }],
    [
      'an earlier one rather than its best model',
      { failed: FAILED, hasEarlier: true, bestMark: 'b' },
      { restore: 'earlier' },
    ],
    ['the order again, before it has come far', { failed: FAILED, progress: 0.05 }, { start: 'scratch' }],
    ['the order again, if nobody knows how far it came', { failed: FAILED, progress: null }, { start: 'scratch' }],
    ['nothing, after it has come far', { failed: FAILED, progress: 0.1 }, { end: 'none-left' }],
    [
      'nothing, if the best model has failed too',
      { failed: new Set(['m1', 'b']), bestMark: 'b' },
      { end: 'none-left' },
    ],
    ['a newer best model', { failed: new Set(['m1', 'b']), bestMark: 'c' }, { start: 'best-model' }],
    ['the order once only', { failed: new Set(['m1', SCRATCH_MARK]), progress: 0 }, { end: 'none-left' }],
    ['a checkpoint written since', { failed: new Set(['m0']), checkpoint: { kind: 'resume' } }, { start: 'resume' }],
    [
      'an earlier one instead of a torn one',
      { checkpoint: { kind: 'unusable', problem: 'torn' }, failed: FAILED, hasEarlier: true },
      { restore: 'earlier' },
    ],
  ] as const) {
    it(`is ${what}`, () => {
      expect(with_(change as Partial<Ladder>)).to.deep.equal(expected)
    })
  }

  it('comes to an end, whatever fails, and never goes up', () => {
    const RUNGS = ['resume', 'earlier', 'best-model', 'scratch', 'end']
    for (let seed = 0; seed < 64; seed += 1) {
      const failed = new Set<string>()
      let earlier = seed % 4
      let lowest = 0
      for (let tries = 0; tries < 20; tries += 1) {
        const progress = seed & 4 ? 0.9 : 0.01
        const bestMark = seed & 8 ? 'b' : undefined
        const mark = `m${earlier}`
        const checkpoint = failed.has(mark) ? ({ kind: 'none' } as const) : ({ kind: 'resume' } as const)
        const next = nextStart({ ...LADDER, checkpoint, failed, mark, hasEarlier: earlier > 0, bestMark, progress })
        if ('end' in next) break
        if ('restore' in next) {
          earlier -= 1
          continue
        }
        const rung = RUNGS.indexOf(next.start)
        expect(rung).to.be.at.least(lowest)
        lowest = rung
        failed.add({ resume: mark, 'best-model': 'b', scratch: SCRATCH_MARK }[next.start])
        expect(tries).to.be.below(15)
      }
    }
  })
})

describe('a start that failed', () => {
  const END = { exitCode: 1, signal: null, outOfMemory: false, reported: null, lastLogLines: ['KeyError: optimizer'] }

  for (const [what, change] of [
    ['an exit code and an error of its own', {}],
    ['a crash in native code', { exitCode: null, signal: 'SIGSEGV' }],
    ['no words at all', { lastLogLines: [] }],
  ] as const) {
    it(`is blamed on its checkpoint after ${what}`, () => {
      expect(blamesItsStart({ ...END, ...change })).to.equal(true)
    })
  }

  for (const [what, change] of [
    ['a kill from outside', { exitCode: null, signal: 'SIGKILL' }],
    ['an end by the system', { exitCode: null, signal: 'SIGTERM' }],
    ['too little memory', { outOfMemory: true }],
    ['too little memory of the card', { lastLogLines: ['torch.OutOfMemoryError: CUDA out of memory.'] }],
    ['a missing module', { lastLogLines: ["ModuleNotFoundError: No module named 'torch'"] }],
    ['a full disk', { lastLogLines: ['OSError: [Errno 28] No space left on device'] }],
    ['a broken card', { lastLogLines: ['RuntimeError: CUDA error: an illegal memory access was encountered'] }],
    ['a card that is gone, in what it reports', { lastLogLines: [], reported: 'no CUDA-capable device is detected' }],
    ['a lost connection', { lastLogLines: ['ConnectionError: Connection refused'] }],
  ] as const) {
    it(`is not blamed on its checkpoint after ${what}`, () => {
      expect(blamesItsStart({ ...END, ...change })).to.equal(false)
    })
  }
})

describe('the gain of a program', () => {
  it('is an epoch after the last one that was reported', () => {
    const gain = createGain(5)
    gain.saw({ event: 'metrics', epoch: 5, values: {} })
    gain.saw({ event: 'model', epoch: 5, files: {}, confusion_matrix: {} })
    expect(gain.hasNewEpoch).to.equal(false)
    gain.saw({ event: 'metrics', epoch: 6, values: {} })
    expect(gain).to.include({ hasNewEpoch: true, epoch: 6 })
  })

  it('is no line of an epoch that has only begun', () => {
    const gain = createGain(5)
    gain.saw({ event: 'progress', progress: 0.6, epoch: 6 })
    gain.saw({ event: 'progress', progress: 0.61, epoch: 6 })
    expect(gain).to.include({ hasNewEpoch: false, progress: 0.61, epoch: null })
    gain.saw({ event: 'progress', progress: 0.7, epoch: 7 })
    expect(gain).to.include({ hasNewEpoch: true, epoch: 6 })
  })

  it('is any epoch where it counts its own, and a model without one', () => {
    for (const event of [
      { event: 'metrics', epoch: 0, values: {} },
      { event: 'model', files: {}, confusion_matrix: {} },
    ] as const) {
      const gain = createGain(null)
      gain.saw(event)
      expect(gain.hasNewEpoch).to.equal(true)
    }
  })
})
