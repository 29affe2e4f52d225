import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { ModelEvent } from '../../../src/executors/contract/events.js'
import { createModelSets, type ModelSets } from '../../../src/workers/trainings/model-sets.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

const matrix = { c1: { tp: 1, fp: 2, fn: 3 } }

function anEvent(files: ModelEvent['files'], epoch: number | null = 1): ModelEvent {
  return { event: 'model', epoch, files, confusion_matrix: matrix }
}

describe('the models a program has reported', () => {
  const folder = useTemporaryFolder()
  let workspace: string
  let models: string
  let sets: ModelSets
  beforeEach(async () => {
    workspace = join(folder.path, 'work')
    models = join(workspace, 'models')
    sets = createModelSets({ workspace, folder: models })
    await mkdir(join(workspace, 'weights'), { recursive: true })
    await writeFile(join(workspace, 'weights/model.bin'), 'first')
    await writeFile(join(workspace, 'weights/more.txt'), 'more')
  })

  it('are set aside, so that the program may write over its files', async () => {
    const set = await sets.add(anEvent({ mocked: ['weights/model.bin', 'weights/more.txt'] }))
    await writeFile(join(workspace, 'weights/model.bin'), 'second')

    expect(await readFile(join(set.folder, 'model.bin'), 'utf8')).to.equal('first')
    expect(set).to.deep.include({ sequence: 1, epoch: 1, confusionMatrix: matrix, synced: false })
    expect(set.files).to.deep.equal({ mocked: ['model.bin', 'more.txt'] })
  })

  it('are numbered in order, over a restart as well', async () => {
    await sets.add(anEvent({ mocked: ['weights/model.bin'] }))
    const restarted = createModelSets({ workspace, folder: models })
    await restarted.add(anEvent({ mocked: ['weights/model.bin'] }, null))

    const all = await restarted.list()

    expect(all.map(({ sequence, epoch }) => ({ sequence, epoch }))).to.deep.equal([
      { sequence: 1, epoch: 1 },
      { sequence: 2, epoch: null },
    ])
  })

  it('may be figures alone; what is uploaded is the last one with files, which no such figures replace', async () => {
    const whole = await sets.add(anEvent({ mocked: ['weights/model.bin'] }, 1))
    await sets.markSynced(whole)
    const figures = await sets.add(anEvent({}, 2))
    await sets.markSynced(figures)

    expect((await sets.list()).map(({ epoch, files }) => ({ epoch, files }))).to.deep.equal([
      { epoch: 1, files: { mocked: ['model.bin'] } },
      { epoch: 2, files: {} },
    ])
    expect(await sets.lastSynced()).to.include({ sequence: 1, epoch: 1 })
  })

  it('are none when nothing was reported', async () => {
    expect(await sets.list()).to.deep.equal([])
    expect(await sets.lastSynced()).to.equal(undefined)
  })

  const report = (epoch: number, files: ModelEvent['files'] = { mocked: ['weights/model.bin'] }) =>
    sets.add(anEvent(files, epoch))
  const filesOf = async (names: readonly string[]) =>
    Promise.all(names.map(async (name) => (await readdir(join(models, name))).sort().join()))

  it('give the last one whose metrics were acked, and older ones make room', async () => {
    const first = await report(1)
    await sets.markSynced(first)
    const second = await report(2)
    await sets.markSynced(second)
    await report(3)

    expect((await sets.lastSynced())?.epoch).to.equal(2)
    expect((await sets.list()).map(({ sequence, synced }) => [sequence, synced])).to.deep.equal([
      [2, true],
      [3, false],
    ])
    await report(4)
    expect((await sets.list()).at(-1)?.sequence).to.equal(4)
  })

  it('keep the files of the last acked and of the newest one alone, and the figures of all that wait', async () => {
    await sets.markSynced(await report(1))
    const waiting = [await report(2), await report(3), await report(4), await report(5, {})]

    expect(await filesOf(await readdir(models))).to.deep.equal([
      'model.bin,set.json',
      'set.json',
      'set.json',
      'model.bin,set.json',
      'set.json',
    ])
    const restarted = createModelSets({ workspace, folder: models })
    expect((await restarted.list()).map(({ epoch, files }) => [epoch, Object.keys(files).length])).to.deep.equal([
      [1, 1],
      [2, 0],
      [3, 0],
      [4, 1],
      [5, 0],
    ])
    for (const set of waiting.slice(0, 2)) await sets.markSynced(set)
    expect((await sets.lastSynced())?.epoch).to.equal(1)
    for (const set of waiting.slice(2)) await sets.markSynced(set)
    expect((await sets.lastSynced())?.epoch).to.equal(4)
    expect(await readdir(models)).to.deep.equal(['000004', '000005'])
  })

  it('are read once, however many wait', async () => {
    await sets.markSynced(await report(1))
    for (let epoch = 2; epoch <= 20; epoch += 1) {
      // What is read again fails.
      for (const name of await readdir(models)) await writeFile(join(models, name, 'set.json'), 'no JSON')
      await report(epoch)
    }

    for (const set of await sets.list()) await sets.markSynced(set)

    expect((await sets.lastSynced())?.epoch).to.equal(20)
    sets.reload()
    expect((await sets.list()).map(({ epoch }) => epoch)).to.deep.equal([20])
  })

  it('are whole or not there: half a set of a crash is replaced', async () => {
    await mkdir(join(models, '000001'), { recursive: true })
    await writeFile(join(models, '000001/left-over.bin'), 'half')

    expect(await sets.list()).to.deep.equal([])
    const set = await sets.add(anEvent({ mocked: ['weights/model.bin'] }))

    expect((await readdir(set.folder)).sort()).to.deep.equal(['model.bin', 'set.json'])
  })

  it('may share a file between formats', async () => {
    const set = await sets.add(anEvent({ one: ['weights/model.bin'], two: ['weights/model.bin', 'weights/more.txt'] }))

    expect(set.files).to.deep.equal({ one: ['model.bin'], two: ['model.bin', 'more.txt'] })
  })

  it('are refused when two different files would lie under one name', async () => {
    await mkdir(join(workspace, 'onnx'))
    await writeFile(join(workspace, 'onnx/model.bin'), 'another')

    const error = await rejection(sets.add(anEvent({ one: ['weights/model.bin'], two: ['onnx/model.bin'] })))

    expect(error.code).to.equal('LF_NO_MODEL')
    expect(error.message).to.include('"weights/model.bin"').and.include('"onnx/model.bin"')
  })

  it('are refused when a file would lie under the name of our own', async () => {
    await writeFile(join(workspace, 'set.json'), '{}')

    const error = await rejection(sets.add(anEvent({ one: ['set.json'] })))

    expect(error.code).to.equal('LF_NO_MODEL')
  })

  it('are refused when a file is missing, is a folder, or lies outside', async () => {
    const missing = await rejection(sets.add(anEvent({ mocked: ['weights/gone.bin'] })))
    const aFolder = await rejection(sets.add(anEvent({ mocked: ['weights'] })))
    const outside = await rejection(sets.add(anEvent({ mocked: ['../../etc/passwd'] })))

    expect(missing.message).to.include('"weights/gone.bin"').and.include('does not exist')
    expect(aFolder.message).to.include('"weights"')
    expect(outside.message).to.include('outside')
    for (const error of [missing, aFolder, outside]) expect(error.code).to.equal('LF_NO_MODEL')
    expect(await sets.list()).to.deep.equal([])
  })
})
