import { join } from 'node:path'
import { expect } from 'chai'
import { execa } from 'execa'
import { loadTrainerDefinition } from '../../src/executors/definition/definition.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { detect, exportModel, prepare, shapesTrainer, trainShortly } from './train-shapes.js'

describe('the shapes trainer', function () {
  this.timeout(180_000)
  const folder = useTemporaryFolder()

  it('passes its own tests of layers, losses, learning and settings', async () => {
    const python = join(shapesTrainer, '.venv/bin/python')
    const run = await execa(python, ['-m', 'unittest', 'discover', '-t', '.', '-s', 'tests'], {
      cwd: shapesTrainer,
      reject: false,
    })

    expect(run.stderr).to.match(/\nOK$/)
    expect(run.exitCode).to.equal(0)
  })

  it('lowers its loss in a short training, exports to ONNX, and the pool finds boxes with the result', async () => {
    const definition = await loadTrainerDefinition(join(shapesTrainer, 'trainer.yaml'))
    const order = await prepare(folder.path)

    const events = await trainShortly(definition, order, folder.path)

    const losses = events.flatMap((event) => (event.event === 'metrics' ? [event.values.loss ?? Number.NaN] : []))
    expect(losses.length).to.be.at.least(2)
    expect(losses.at(-1)).to.be.below((losses[0] ?? 0) * 0.9)
    const model = events.findLast((event) => event.event === 'model')
    expect(Object.keys(model?.confusion_matrix ?? {})).to.have.members(order.categories.map((category) => category.id))

    await exportModel(definition, order, folder.path, model?.files.shapes_numpy?.[0] ?? '')
    const found = await detect(order.categories, folder.path)

    expect(found.box_detections).to.be.an('array')
    for (const box of found.box_detections) expect(box.confidence).to.be.within(0.3, 1)
  })
})
