import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { backendOf, type ModelUse } from '../../../src/inference/backends/model-folder.js'
import { createInferencePool, type InferencePool } from '../../../src/inference/pool/pool.js'
import { readModelJson } from '../../../src/loop/client/models/model-files.js'
import { projectRoot } from '../../helpers/project-root.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { plainJpeg } from '../images.js'
import { rejection } from '../rejection.js'
import { withMetadata } from './model/with-metadata.js'

const FIXTURES = join(projectRoot(), 'test/fixtures')

describe('A model with its model.json', () => {
  const folder = useTemporaryFolder()
  const pools: InferencePool[] = []
  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.close()
  })

  async function open(model: string, use: ModelUse = {}): Promise<InferencePool> {
    const modelJson = await readModelJson(model)
    if (modelJson === undefined) throw new Error('no model.json')
    const backend = await backendOf(model, modelJson, { kind: 'onnx' }, use)
    const pool = await createInferencePool({ threads: 1, backend }, { log: silentLogger() })
    pools.push(pool)
    return pool
  }

  async function found(pool: InferencePool) {
    const { detections } = await pool.detect({ bytes: await plainJpeg(64, 64, 'red') })
    const all = [...detections.box_detections, ...detections.classification_detections]
    return all.map(({ category_name, confidence }) => [category_name, Math.round(confidence * 100) / 100])
  }

  /** The model of a fixture in a folder of its own, with other files or keys. */
  async function changed(
    name: string,
    changes: {
      readonly modelJson?: Readonly<Record<string, unknown>>
      readonly decoder?: object
      readonly metadata?: Readonly<Record<string, string>>
    },
  ): Promise<string> {
    const model = join(folder.path, 'model')
    await cp(join(FIXTURES, 'models', name), model, { recursive: true })
    const text = await readFile(join(model, 'model.json'), 'utf8')
    await writeFile(join(model, 'model.json'), JSON.stringify({ ...JSON.parse(text), ...changes.modelJson }))
    if (changes.decoder !== undefined) await writeFile(join(model, 'decoder.json'), JSON.stringify(changes.decoder))
    const onnx = await readFile(join(model, 'model.onnx'))
    await writeFile(join(model, 'model.onnx'), withMetadata(onnx, changes.metadata ?? {}))
    return model
  }

  describe('of one category and with finished boxes', () => {
    it('finds both boxes', async () => {
      const pool = await open(join(FIXTURES, 'models/one-category-end-to-end'))

      expect(await found(pool)).to.deep.equal([
        ['c0', 0.9],
        ['c0', 0.6],
      ])
      expect(pool.warnings).to.deep.equal([])
    })

    it('finds both boxes as its metadata and as its decoder.json say', async () => {
      const args = "{'batch': 1, 'nms': True}"
      const described = await changed('one-category-end-to-end', {
        metadata: { task: 'detect', names: "{0: 'c0'}", args },
      })
      expect(await found(await open(described))).to.have.lengthOf(2)

      const named = await changed('one-category-end-to-end', { decoder: { layout: 'end-to-end' } })
      expect(await found(await open(named))).to.have.lengthOf(2)
    })

    for (const task of ['pose', 'obb']) {
      it(`is refused as a model of the task ${task}, also when it has been served`, async () => {
        const model = await changed('one-category-end-to-end', { metadata: { task, names: "{0: 'c0'}" } })

        for (const wasServed of [false, true]) {
          const error = await rejection(open(model, { wasServed }))
          expect(error).to.include({ code: 'LF_MODEL_LAYOUT' })
        }
      })
    }

    it('is refused with a class of another name, and serves on if it was served before', async () => {
      const model = await changed('one-category-end-to-end', {
        metadata: { task: 'detect', end2end: 'True', names: "{0: 'C0'}" },
      })

      expect(await rejection(open(model))).to.include({ code: 'LF_MODEL_CATEGORIES' })
      const served = await open(model, { wasServed: true })
      expect(await found(served)).to.have.lengthOf(2)
      expect(served.warnings?.join()).to.include('"C0"')
    })
  })

  describe('with a conf_threshold', () => {
    it('answers no box below it', async () => {
      const pool = await open(join(FIXTURES, 'models/conf-threshold'))

      expect(await found(pool)).to.deep.equal([['c0', 0.9]])
      expect(pool.threshold).to.equal(0.5)
    })

    for (const [what, changes, use, threshold] of [
      ['its default without one', { modelJson: { conf_threshold: null } }, {}, 0.2],
      ['that of decoder.json before it', { decoder: { layout: 'end-to-end', threshold: 0.1 } }, {}, 0.1],
      ['it beside a decoder.json without one', { decoder: { layout: 'end-to-end' } }, {}, 0.5],
      [
        'what is asked for before all',
        { decoder: { layout: 'end-to-end', threshold: 0.9 } },
        { threshold: 0.25 },
        0.25,
      ],
      ['zero as a number', { modelJson: { conf_threshold: 0 } }, {}, 0],
    ] as const) {
      it(`uses ${what}`, async () => {
        const pool = await open(await changed('conf-threshold', changes), use)

        expect(pool.threshold).to.equal(threshold)
        expect(await found(pool)).to.have.lengthOf(threshold > 0.3 ? 1 : 2)
      })
    }

    for (const value of [1.5, -0.1, '0.5', true, {}]) {
      it(`warns of ${JSON.stringify(value)}, which does not count`, async () => {
        const pool = await open(await changed('conf-threshold', { modelJson: { conf_threshold: value } }))

        expect(pool.threshold).to.equal(0.2)
        expect(pool.warnings?.[0]).to.include(`conf_threshold of model.json is ${JSON.stringify(value)}`)
      })
    }
  })

  it('maps its classes to categories by name', async () => {
    const metadata = { task: 'detect', end2end: 'True', names: "{0: 'c2', 1: 'c0', 2: 'c1'}" }

    expect(await found(await open(await changed('conf-threshold', { metadata })))).to.deep.equal([['c2', 0.9]])
  })

  it('loads with NaN in its model.json', async () => {
    const pool = await open(join(FIXTURES, 'models/json-with-nan'))

    expect((await found(pool)).map(([name]) => name)).to.include.members(['R', 'leftR'])
  })

  it('of no size says why it cannot be loaded', async () => {
    const model = join(folder.path, 'empty')
    await mkdir(model)
    await copyFile(join(FIXTURES, 'models/conf-threshold/model.json'), join(model, 'model.json'))
    await writeFile(join(model, 'model.onnx'), '')

    expect(await rejection(open(model))).to.include({ code: 'LF_MODEL_UNREADABLE' })
  })
})
