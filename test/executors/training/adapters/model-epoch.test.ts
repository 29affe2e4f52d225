import { expect } from 'chai'
import { createModelEpochs, epochInName } from '../../../../src/executors/training/adapters/model-epoch.js'

const named = (name: string, star?: string) => epochInName(name, star)

describe('the epoch of a model file', () => {
  it('is that of the row that was written before it, also long before', () => {
    const epochs = createModelEpochs(0)
    epochs.inTable(0, 1000)
    epochs.inTable(1, 61_000)
    epochs.inTable(2, 121_000)

    expect(epochs.of({ mtimeMs: 61_010 })).to.equal(1)
    expect(epochs.of({ mtimeMs: 90_000 })).to.equal(1)
    expect(epochs.of({ mtimeMs: 500_000 })).to.equal(2)
  })

  it('is that of the row right after it, if the script saves its model first', () => {
    const epochs = createModelEpochs(0)
    epochs.inTable(0, 1000)
    epochs.inTable(1, 61_000)

    expect(epochs.of({ mtimeMs: 60_700 })).to.equal(1)
    expect(epochs.of({ mtimeMs: 700 })).to.equal(0)
    expect(epochs.of({ mtimeMs: 1010 })).to.equal(0)
  })

  it('is that of the table although the name counts from another number', () => {
    const epochs = createModelEpochs(0)
    epochs.inTable(3, 1000)

    expect(epochs.of({ mtimeMs: 1010, named: named('epoch2.pt') })).to.equal(3)
    expect(epochs.of({ mtimeMs: 1010, named: named('weights.04-0.12.h5', '04') })).to.equal(3)
    expect(epochs.of({ mtimeMs: 1010, named: named('checkpoint-1500', '1500') })).to.equal(3)
  })

  it('is that of the name when several rows were written at the same time', () => {
    const epochs = createModelEpochs(0)
    epochs.inTable(3, 1000)
    epochs.inTable(7, 1100)

    expect(epochs.of({ mtimeMs: 1060, named: named('epoch5.pt') })).to.equal(5)
    expect(epochs.of({ mtimeMs: 1010, named: named('epoch4.pt') })).to.equal(4)
    expect(epochs.of({ mtimeMs: 1090, named: named('best.pt') })).to.equal(7)
  })

  it('is that of the name when the table is written late or not at all', () => {
    const late = createModelEpochs(0)
    late.inTable(0, 1000)

    expect(late.of({ mtimeMs: 90_000, named: named('epoch=7-step=800.ckpt', '7-step=800') })).to.equal(7)
    expect(createModelEpochs(0).of({ mtimeMs: 1, named: named('epoch7.pt', '7') })).to.equal(7)
  })

  it('is the last one that the log told before, when nothing else tells', () => {
    const epochs = createModelEpochs(0)
    epochs.inLog(4, 1000)
    epochs.inLog(5, 2000)

    expect(epochs.of({ mtimeMs: 1990 })).to.equal(4)
    expect(epochs.of({ mtimeMs: 1990, named: named('best-3.pt', '3') })).to.equal(3)
  })

  it('is the line that came just after the file, when the script saves right after it has printed', () => {
    const epochs = createModelEpochs(0)
    epochs.saw({ mtimeMs: 7000, bornMs: 1000 })
    for (const epoch of [1, 2, 3, 4]) epochs.inLog(epoch, epoch * 1000 + 1)

    expect(epochs.of({ mtimeMs: 2000 })).to.equal(2)
    expect(epochs.of({ mtimeMs: 3990 }), 'a model that took long to write').to.equal(4)
    expect(epochs.of({ mtimeMs: 3300 })).to.equal(3)
  })

  it('is the line before the file, although the next one follows immediately, when lines come at the start of epochs', () => {
    const epochs = createModelEpochs(0)
    epochs.saw({ mtimeMs: 2000, bornMs: 2000 })
    for (const epoch of [1, 2, 3, 4]) epochs.inLog(epoch, epoch * 1000 + 1)

    expect(epochs.of({ mtimeMs: 2000 })).to.equal(1)
    expect(epochs.of({ mtimeMs: 5000 })).to.equal(4)
  })

  it('learns nothing of a script from a file of an earlier start', () => {
    const epochs = createModelEpochs(1000)
    epochs.saw({ mtimeMs: 999, bornMs: 500 })
    for (const epoch of [8, 9]) epochs.inLog(epoch, epoch * 1000)

    expect(epochs.of({ mtimeMs: 999 })).to.equal(undefined)
    expect(epochs.of({ mtimeMs: 8990 })).to.equal(8)
  })

  it('is unknown when the log is no longer read and nothing else tells', () => {
    const epochs = createModelEpochs(0)
    epochs.inLog(3, 1000)
    expect(epochs.of({ mtimeMs: 1010 })).to.equal(3)

    epochs.endOfLog()

    expect(epochs.of({ mtimeMs: 1010 })).to.equal(undefined)
    expect(epochs.of({ mtimeMs: 2010 })).to.equal(undefined)
    expect(epochs.of({ mtimeMs: 2010, named: named('best-8.pt', '8') })).to.equal(8)
  })

  it('is that of the table when the log is no longer read', () => {
    const epochs = createModelEpochs(0)
    epochs.inLog(3, 1000)
    epochs.endOfLog()
    epochs.inTable(8, 3000)

    expect(epochs.of({ mtimeMs: 3000 })).to.equal(8)
  })

  it('is unknown when nothing tells', () => {
    const epochs = createModelEpochs(0)
    epochs.inLog(4, 1000)

    expect(epochs.of({ mtimeMs: 900 })).to.equal(undefined)
    expect(createModelEpochs(0).of({ mtimeMs: 900, named: named('best.pt') })).to.equal(undefined)
  })

  for (const [name, star, expected] of [
    ['epoch12.pt', '12', { epoch: 12, isMarked: true }],
    ['model_epoch_003.pth', undefined, { epoch: 3, isMarked: true }],
    ['epoch=3-val_loss=0.25.ckpt', '3-val_loss=0.25', { epoch: 3, isMarked: true }],
    ['net-ep07.pt', '-ep07', { epoch: 7, isMarked: true }],
    ['yolov5s.Epoch 9.pt', '9', { epoch: 9, isMarked: true }],
    ['model-12.pt', '12', { epoch: 12, isMarked: false }],
    ['deep3.pt', undefined, undefined],
    ['best.pt', undefined, undefined],
    ['model-0.25.pt', '0.25', undefined],
  ] as const) {
    it(`is read from the name ${name} as ${JSON.stringify(expected)}`, () => {
      expect(named(name, star)).to.deep.equal(expected)
    })
  }
})
