import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import { loadTrainerDefinition } from '../../src/executors/definition/definition.js'
import { type ConverterFleet, startConverterFleet } from '../helpers/converter-fleet.js'
import { projectRoot } from '../helpers/project-root.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { detect, exportModel, prepare, shapesTrainer, trainShortly } from './train-shapes.js'

const CONVERTER = join(projectRoot(), 'examples/shapes-quantize/converter.yaml')

describe('the converter of the shapes trainer', function () {
  this.timeout(240_000)
  const folder = useTemporaryFolder()
  let fleet: ConverterFleet

  beforeEach(async () => {
    fleet = await startConverterFleet()
  })
  afterEach(() => fleet.close())

  it('makes two smaller models of a trained one, which find the same', async () => {
    const { order, files } = await trainedModel()
    const id = await fleet.upload(files, 'onnx')

    await fleet.start('converter', CONVERTER)
    const smaller = await Promise.all(['onnx_fp16', 'onnx_int8'].map((format) => fetched(id, format)))

    const original = join(folder.path, 'model/model.onnx')
    const { size } = await stat(original)
    const sizes = await Promise.all(smaller.map(async (file) => (await stat(file)).size / size))
    expect(sizes[0]).to.be.below(0.6)
    expect(sizes[1]).to.be.below(0.4)
    const expected = await detect(order.categories, folder.path, original)
    for (const file of smaller) {
      const found = await detect(order.categories, folder.path, file)
      const difference = Math.abs(found.box_detections.length - expected.box_detections.length)
      expect(difference).to.be.at.most(1 + 0.1 * expected.box_detections.length)
    }
  })

  it('fails for a model that it cannot read, and says so', async () => {
    await fleet.upload({ 'model.onnx': 'no model', 'decoder.json': '{}' }, 'onnx')
    await fleet.upload({ 'other.bin': 'no model' }, 'onnx')

    await fleet.start('converter', CONVERTER)

    const failed = await until(
      'all four have failed',
      async () => {
        const records = await fleet.conversions.list({ failedOnly: true })
        return records.length === 4 ? records : undefined
      },
      120_000,
    )
    const causes = failed.map(({ failure }) => failure?.message ?? '').join('\n')
    expect(causes).to.contain('the model has no model.onnx with a decoder.json of the shapes trainer')
    expect(failed.every(({ failure }) => failure?.exitCode === 1)).to.equal(true)
  })

  async function trainedModel() {
    const order = await prepare(folder.path)
    const definition = await loadTrainerDefinition(join(shapesTrainer, 'trainer.yaml'))
    const events = await trainShortly(definition, order, folder.path)
    const model = events.findLast((event) => event.event === 'model')
    await exportModel(definition, order, folder.path, model?.files.shapes_numpy?.[0] ?? '')
    const files = await Promise.all(
      ['model.onnx', 'decoder.json'].map(
        async (name) => [name, await readFile(join(folder.path, 'model', name))] as const,
      ),
    )
    return { order, files: Object.fromEntries(files) }
  }

  /** The model file of a format, once it is there, beside its decoder. */
  async function fetched(id: string, format: string): Promise<string> {
    await fleet.untilFormat(id, format, 120_000)
    const target = await mkdtemp(join(folder.path, `${format}-`))
    await writeFile(`${target}.zip`, await fleet.download(id, format))
    const names = await unzipChecked(`${target}.zip`, join(target, 'model'))
    expect(names).to.have.members(['model.onnx', 'decoder.json', 'model.json'])
    return join(target, 'model/model.onnx')
  }
})
