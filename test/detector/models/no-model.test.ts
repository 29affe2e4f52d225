import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { createLogger } from '../../../src/base/logger/logger.js'
import { FailedTargets } from '../../../src/detector/models/failed-targets.js'
import type { BuildPool } from '../../../src/detector/models/model-builder.js'
import { thresholdWarning } from '../../../src/detector/relevance/relevance-filter.js'
import { InferenceError } from '../../../src/inference/basics/errors.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { untilServing, useKeepers } from './keeper-fixture.js'
import { modelJsonOf } from './model-loop.js'
import { buildDouble, target } from './pool-double.js'

describe('A detector without a model', () => {
  const fixture = useKeepers()
  const owner = { organization: 'acme', project: 'demo' }

  async function put(version: string, files: Readonly<Record<string, string>>, isCurrent = true): Promise<void> {
    const folder = join(fixture.folder, 'models', version)
    await mkdir(folder, { recursive: true })
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    if (isCurrent) await symlink(`models/${version}`, join(fixture.folder, 'current_model'))
  }

  /** Starts one; answers what it says in each of the places where somebody may look. */
  async function reasons() {
    let log = ''
    const destination = { write: (line: string) => (log += line) }
    const keeper = await fixture.start({ owner }, { log: createLogger({ destination }) })
    expect(keeper.loaded()).to.equal(null)
    const refusal = await rejection(keeper.use(async () => undefined))
    return { log, refusal: String(refusal), about: keeper.state().whyNoModel ?? '' }
  }

  for (const [what, files, reason] of [
    ['a model.json with a comma too many', { 'model.json': '{"id": "a",}' }, 'is not JSON'],
    ['a model.json that is empty', { 'model.json': '' }, 'is not JSON'],
    ['a model.json without an id', { 'model.json': '{"version": "1.0"}' }, 'id must be a string, got nothing'],
    [
      'categories without ids',
      { 'model.json': modelJsonOf(target('1.0')).replace('"categories":[', '"categories":[{"name":"cat"},') },
      'categories[0].id must be a string, got nothing',
    ],
    ['no model.json', { 'model.onnx': 'weights' }, 'it has no model.json'],
    [
      'a model that does not load',
      { 'model.json': modelJsonOf(target('1.0')), 'model.txt': 'does not load' },
      'the runtime does not like it',
    ],
  ] as const) {
    it(`says so in its log, in /about and in each refusal: ${what}`, async () => {
      await put('1.0', files)

      const { log, refusal, about } = await reasons()

      for (const place of [log, refusal, about]) expect(place).to.include(reason)
      expect(log).to.include('no model is loaded')
    })
  }

  it('names a model of another project, also where no link leads to it', async () => {
    const stranger = modelJsonOf(target('1.0')).replace(/"project":"[^"]*"/, '"project":"other"')
    await put('1.0', { 'model.json': stranger, 'model.txt': 'weights' }, false)

    const { log, refusal, about } = await reasons()

    for (const place of [log, refusal, about]) expect(place).to.match(/it is of the project .*other/)
  })

  it('says that nothing is on disk and no target is set', async () => {
    const { log, refusal, about } = await reasons()

    expect(log).to.include('there is no model on disk')
    for (const place of [refusal, about]) expect(place).to.include('no target is set')
  })

  it('has no reason while one serves', async () => {
    const keeper = await fixture.start()
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')

    expect(keeper.state().whyNoModel).to.equal(null)
  })
})

describe('A model in doubt', () => {
  const fixture = useKeepers()

  it('is built as a new one the first time, and as one that has served from then on, whose warnings are shown', async () => {
    const asked: boolean[] = []
    const buildPool: BuildPool = async (folder, modelJson, options) => {
      asked.push(options.wasServed)
      const pool = await buildDouble(folder, modelJson, options)
      return Object.assign(pool, { warnings: options.wasServed ? ['It is read as before.'] : [] })
    }
    const first = await fixture.start({}, { buildPool })
    first.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(first, '1.0')
    expect(first.state().errors).to.deep.equal({})
    await first.stop()

    const second = await fixture.start({}, { buildPool })

    expect(asked).to.deep.equal([false, true])
    expect(second.state().errors).to.deep.equal({ model: 'It is read as before.' })
  })
})

describe('A target whose model was too slow', () => {
  it('is tried again when its thread has come back, and not before', async () => {
    let lost = 1
    let due = 0
    const options = { badModel: { firstMs: 10, maxMs: 10 } }
    const failed = new FailedTargets(options, { onDue: () => (due += 1), lostThreads: () => lost })
    const slow = new InferenceError('LF_MODEL_SLOW', 'too slow')
    failed.add(target('1.0'), new Error('wrapped', { cause: slow }))
    failed.add(target('1.1'), new InferenceError('LF_MODEL_UNREADABLE', 'broken'))

    await until('the other one is due', () => due === 1)
    expect(failed.isKeptAway(target('1.0'))).to.equal(true)
    expect(failed.isKeptAway(target('1.1'))).to.equal(false)
    lost = 0

    await until('it is due', () => due === 2)
    expect(failed.isKeptAway(target('1.0'))).to.equal(false)
    failed.clear()
  })
})

describe('A threshold of a model', () => {
  const range = { minUncertain: 0.3, maxUncertain: 0.6 }

  it('above the lower end of what the relevance filter looks for is warned of', () => {
    expect(thresholdWarning(0.5, range)).to.include('only the part above it counts').and.include('--conf-threshold')
    expect(thresholdWarning(0.7, range)).to.include('no image is ever uncertain (0.3 to 0.6)')
  })

  it('at or below it, or unknown, is not', () => {
    for (const threshold of [0, 0.2, 0.3, undefined]) expect(thresholdWarning(threshold, range)).to.equal(undefined)
  })
})
