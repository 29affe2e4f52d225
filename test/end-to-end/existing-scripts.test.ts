import { chmod, cp, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { removeTree } from '../../src/base/files.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { projectRoot } from '../helpers/project-root.js'

const standIns = fileURLToPath(new URL('../fixtures/trainers/stand-ins', import.meta.url))

/** The example's YAML, unchanged, among scripts that behave as the public ones. */
async function install(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `loopfleet-${name}-`))
  await cp(join(standIns, name), folder, { recursive: true })
  await cp(join(projectRoot(), 'examples', name), folder, { recursive: true })
  if (name === 'ultralytics') await chmod(join(folder, 'yolo'), 0o755)
  return folder
}

describe('existing scripts in a fleet', function () {
  this.timeout(90_000)
  let scripts: string
  let fleet: Fleet

  for (const { name, hyperparameters, formats, slow } of [
    {
      name: 'yolov5',
      hyperparameters: { epochs: 4, resolution: 320, flip_rl: true },
      formats: ['yolov5_pytorch', 'yolov5_wts'],
      slow: { batch_seconds: 0.1 },
    },
    {
      name: 'ultralytics',
      hyperparameters: { epochs: 2, workers: 1 },
      formats: ['ultralytics_pytorch', 'onnx'],
      slow: { workers: 30 },
    },
  ]) {
    describe(`of ${name}`, () => {
      before(async () => {
        scripts = await install(name)
        fleet = await startFleet({ trainerFile: join(scripts, 'trainer.yaml'), pathInFront: scripts, threads: 1 })
      })
      after(async () => {
        await fleet?.close()
        await removeTree(scripts)
      })

      it('go from order to detections with nothing but a trainer file', async () => {
        await fleet.order({ hyperparameters })

        await fleet.until({ ended: true }, 60_000)

        const training = fleet.seen()
        expect(training).to.include({ outcome: 'completed', train_image_count: 6, test_image_count: 2 })
        expect(fleet.uploads()).to.deep.equal(Object.fromEntries(formats.map((format) => [format, 1])))
        expect(Object.values(fleet.detectionCounts())).to.deep.equal(Array(10).fill(1)) // also those without findings
      })

      it('keep the best model when a stop arrives', async () => {
        await fleet.order({ hyperparameters: { ...hyperparameters, ...slow, epochs: 500 } })
        await fleet.until({ epoch: 2 }, 60_000)

        await fleet.stop()
        await fleet.until({ ended: true }, 60_000)

        expect(fleet.seen().outcome).to.equal('completed')
        expect(fleet.uploads()).to.deep.equal(Object.fromEntries(formats.map((format) => [format, 1])))
        expect(await fleet.programs()).to.deep.equal([])
      })
    })
  }
})
