import { mkdir, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { LoadedModel } from '../../../src/detector/models/served-model.js'
import type { InferencePool } from '../../../src/inference/pool/pool.js'
import { json } from '../../helpers/http-loop.js'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { untilError, untilServing, useKeepers } from './keeper-fixture.js'
import { modelJsonOf, zipOf } from './model-loop.js'
import { buildDouble, PoolDouble, target } from './pool-double.js'

const soon = { firstMs: 20, maxMs: 40 }
const late = { firstMs: 3_600_000, maxMs: 3_600_000 }

describe('A model update', () => {
  const fixture = useKeepers()
  const models = () => readdir(join(fixture.folder, 'models'))
  const versionNow = (model: LoadedModel) => Promise.resolve(model.version)

  it('downloads the target, serves it and lets current_model lead to it', async () => {
    const keeper = await fixture.start()
    expect((await rejection(keeper.use(versionNow))).code).to.equal('LF_DETECTOR_NO_MODEL')

    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')

    expect(await keeper.use(versionNow)).to.equal('1.0')
    expect(await readlink(join(fixture.folder, 'current_model'))).to.equal('models/1.0')
    expect(keeper.versionControl()).to.deep.equal({
      mode: 'follow_loop',
      currentVersion: '1.0',
      targetVersion: '1.0',
      loopVersion: '1.0',
      localVersions: ['1.0'],
    })
    expect(keeper.state()).to.deep.equal({ updating: null, errors: {}, whyNoModel: null })
  })

  it('lets a request finish on the old model, which is closed afterwards', async () => {
    const keeper = await fixture.start()
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')
    let finish: () => void = () => undefined
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    let pool: InferencePool | undefined
    const slow = keeper.use(async (model) => {
      pool = model.pool
      await finished
      return await model.pool.detect({ bytes: new Uint8Array() })
    })

    keeper.setTarget(await fixture.loop.offer('1.1'))
    await untilServing(keeper, '1.1')
    expect(pool).to.have.property('isClosed', false)
    finish()

    expect(await slow).to.have.property('detections')
    await until('the old pool is closed', () => pool instanceof PoolDouble && pool.isClosed)
    expect(PoolDouble.open.size).to.equal(1)
  })

  it('fetches nothing when the version is on disk already', async () => {
    const keeper = await fixture.start()
    const [first, second] = [await fixture.loop.offer('1.0'), await fixture.loop.offer('1.1')]
    for (const one of [first, second]) {
      keeper.setTarget(one)
      await untilServing(keeper, one.version)
    }

    keeper.setTarget(first)
    await untilServing(keeper, '1.0')

    expect(fixture.loop.downloads('1.0')).to.equal(1)
  })

  it('waits while updates are not allowed', async () => {
    const keeper = await fixture.start()
    keeper.setUpdatesAllowed(false)
    keeper.setTarget(await fixture.loop.offer('1.0'))
    expect(keeper.state().updating).to.equal(null)
    expect(keeper.versionControl().targetVersion).to.equal('1.0')
    expect(fixture.loop.downloads('1.0')).to.equal(0)

    keeper.setUpdatesAllowed(true)

    await untilServing(keeper, '1.0')
  })

  it('keeps only the last versions, and the folder of a request that still runs', async () => {
    const keeper = await fixture.start({ keepVersions: 2 })
    for (const version of ['1.0', '1.1', '1.2', '1.10']) {
      keeper.setTarget(await fixture.loop.offer(version))
      await untilServing(keeper, version)
    }

    expect(await models()).to.have.members(['.loading.json', '.served.json', '1.2', '1.10'])
    expect(keeper.versionControl().localVersions).to.deep.equal(['1.2', '1.10'])
  })

  it('takes another model of the same version into another folder', async () => {
    const keeper = await fixture.start()
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')
    const other = target('1.0', 'another-id')
    fixture.loop.zips.set(other.id, { body: await zipOf({ 'model.json': modelJsonOf(other), 'model.txt': 'other' }) })

    keeper.setTarget(other)
    await until('the other model serves', () => keeper.loaded()?.id === other.id)

    expect(keeper.loaded()?.folder).to.match(/models\/1\.0\+2$/)
  })

  it('ends at the newest target when it changes while a download hangs', async () => {
    const keeper = await fixture.start()
    const first = await fixture.loop.offer('1.0')
    fixture.loop.zips.set(first.id, { silent: true })
    keeper.setTarget(first)
    await until('the download has begun', () => fixture.loop.downloads('1.0') > 0)

    keeper.setTarget(await fixture.loop.offer('1.1'))

    await untilServing(keeper, '1.1')
    expect(await models()).to.have.members(['.loading.json', '.served.json', '1.1'])
    expect(keeper.state().errors).to.deep.equal({})
  })

  it('ends at the newest target when it changes while a model is built', async () => {
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const built: string[] = []
    const keeper = await fixture.start(
      {},
      {
        buildPool: async (folder, modelJson, options) => {
          built.push(modelJson.version)
          if (modelJson.version === '1.0') await held
          return await buildDouble(folder, modelJson, options)
        },
      },
    )
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await until('the build has begun', () => built.includes('1.0'))

    keeper.setTarget(await fixture.loop.offer('1.1'))
    release()

    await untilServing(keeper, '1.1')
    expect(PoolDouble.open.size).to.equal(1)
  })

  it('survives a target that flaps, and ends where it ends', async () => {
    const keeper = await fixture.start()
    const targets = [await fixture.loop.offer('1.0'), await fixture.loop.offer('1.1')] as const
    for (let turn = 0; turn < 60; turn += 1) {
      keeper.setTarget(targets[turn % 2 === 0 ? 0 : 1])
      if (turn % 3 === 0) await new Promise((resolve) => setTimeout(resolve, turn % 7))
    }

    await untilServing(keeper, '1.1')
    expect(PoolDouble.open.size).to.equal(1)
    expect(keeper.state().errors).to.deep.equal({})
  })

  it('tells its listeners of each swap and each error', async () => {
    const keeper = await fixture.start()
    const seen: string[] = []
    const off = keeper.onChange(() => {
      seen.push(`${keeper.loaded()?.version} ${keeper.state().errors.update_model ?? ''}`)
    })
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')
    keeper.setTarget(target('9.9'))
    await untilError(keeper, 'update_model')
    off()

    expect(seen).to.include('1.0 ')
    expect(seen.at(-1)).to.match(/^1\.0 Could not update model: .*404/)
  })

  describe('to a bad model', () => {
    const good = modelJsonOf(target('1.1'))
    const cases: Record<string, () => Promise<Buffer>> = {
      'whose zip is no zip': async () => Buffer.from('<html>Bad gateway</html>'),
      'whose zip is cut': async () =>
        (await zipOf({ 'model.json': good, 'model.txt': 'x'.repeat(5000) })).subarray(0, 200),
      'without model.json': () => zipOf({ 'model.txt': 'weights' }),
      'whose model.json is no JSON': () => zipOf({ 'model.json': '{', 'model.txt': 'weights' }),
      'whose model.json is huge': () => zipOf({ 'model.json': `{"a":"${'x'.repeat(9_000_000)}"}` }),
      'whose model.json names another model': () => zipOf({ 'model.json': modelJsonOf(target('1.1', 'other')) }),
      'whose model.json names another version': () =>
        zipOf({ 'model.json': modelJsonOf(target('7.7', 'id-of-1.1')), 'model.txt': 'weights' }),
      'of another format': () =>
        zipOf({ 'model.json': modelJsonOf(target('1.1'), { format: 'other' }), 'model.txt': 'weights' }),
      'that does not load': () => zipOf({ 'model.json': good, 'model.txt': 'does not load' }),
    }
    for (const [title, zip] of Object.entries(cases)) {
      it(`${title} is refused, shown and kept away, and the old one serves on`, async () => {
        const keeper = await fixture.start({}, { waits: { retry: late, badModel: late } })
        keeper.setTarget(await fixture.loop.offer('1.0'))
        await untilServing(keeper, '1.0')
        fixture.loop.zips.set('id-of-1.1', { body: await zip() })

        keeper.setTarget(target('1.1'))
        const error = await untilError(keeper, 'update_model')

        expect(error).to.match(/^Could not update model: ./)
        expect(await keeper.use(versionNow)).to.equal('1.0')
        expect(keeper.versionControl()).to.include({ currentVersion: '1.0', targetVersion: '1.1' })
        await until('the update is over', () => keeper.state().updating === null)
        expect(await models()).to.have.members(['.loading.json', '.served.json', '1.0'])
        const downloads = fixture.loop.downloads('1.1')
        for (let poll = 0; poll < 20; poll += 1) keeper.setTarget(target('1.1'))
        await new Promise((resolve) => setTimeout(resolve, 50))
        expect(fixture.loop.downloads('1.1')).to.equal(downloads)
      })
    }

    it('is tried again later, and serves once it is mended', async () => {
      const keeper = await fixture.start({}, { waits: { badModel: soon } })
      fixture.loop.zips.set('id-of-1.1', { body: await zipOf({ 'model.json': good, 'model.txt': 'does not load' }) })
      keeper.setTarget(target('1.1'))
      await until('it was tried three times', () => fixture.loop.downloads('1.1') >= 3)

      await fixture.loop.offer('1.1')

      await untilServing(keeper, '1.1')
      expect(keeper.state().errors).to.deep.equal({})
    })

    it('does not keep another target away', async () => {
      const keeper = await fixture.start({}, { waits: { retry: late, badModel: late } })
      fixture.loop.zips.set('id-of-1.1', { body: 'no zip' })
      keeper.setTarget(target('1.1'))
      await untilError(keeper, 'update_model')
      const mended = target('1.1', 'mended')
      fixture.loop.zips.set(mended.id, {
        body: await zipOf({ 'model.json': modelJsonOf(mended), 'model.txt': 'good' }),
      })

      keeper.setTarget(mended)

      await untilServing(keeper, '1.1')
      expect(keeper.state().errors).to.deep.equal({})
    })

    it('is tried immediately when a person asks for it', async () => {
      const keeper = await fixture.start({}, { waits: { retry: late, badModel: late } })
      fixture.loop.zips.set('id-of-1.1', { body: 'no zip' })
      keeper.setTarget(target('1.1'))
      await untilError(keeper, 'update_model')
      await fixture.loop.offer('1.1')

      await keeper.setVersionControl('follow_loop')

      await untilServing(keeper, '1.1')
    })
  })

  it('goes on by itself when the Loop comes back', async () => {
    const keeper = await fixture.start({}, { waits: { retry: soon } })
    const model = await fixture.loop.offer('1.0')
    const zip = fixture.loop.zips.get(model.id)
    fixture.loop.zips.set(model.id, json({ detail: 'away' }, 502))
    keeper.setTarget(model)
    await untilError(keeper, 'update_model')

    fixture.loop.zips.set(model.id, zip ?? {})

    await untilServing(keeper, '1.0')
    expect(keeper.state().errors).to.deep.equal({})
  })

  for (const version of [
    '../../etc',
    '/etc',
    '',
    '.',
    '..',
    '.hidden',
    'a/b',
    'a\\b',
    'x'.repeat(300),
    'a\u0000b',
    '1.0\n',
  ]) {
    it(`refuses a target with the version ${JSON.stringify(version.slice(0, 20))}`, async () => {
      const keeper = await fixture.start()

      keeper.setTarget({ id: 'some-id', version })

      expect(await untilError(keeper, 'update_model')).to.contain('cannot be')
      expect(keeper.state().updating).to.equal(null)
      expect(await models()).to.deep.equal([])
    })
  }

  it('leaves folders of strangers alone', async () => {
    await mkdir(join(fixture.folder, 'models', 'notes'), { recursive: true })
    const keeper = await fixture.start({ keepVersions: 1 })
    for (const version of ['1.0', '1.1']) {
      keeper.setTarget(await fixture.loop.offer(version))
      await untilServing(keeper, version)
    }

    expect(await models()).to.have.members(['.loading.json', '.served.json', 'notes', '1.1'])
  })

  describe('with an exclusive build', () => {
    it('frees the old model first and refuses requests meanwhile', async () => {
      let release: () => void = () => undefined
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      let openWhileBuilding = -1
      const keeper = await fixture.start(
        { exclusiveBuild: true },
        {
          buildPool: async (folder, modelJson, options) => {
            if (modelJson.version === '1.1') {
              openWhileBuilding = PoolDouble.open.size
              await held
            }
            return await buildDouble(folder, modelJson, options)
          },
        },
      )
      keeper.setTarget(await fixture.loop.offer('1.0'))
      await untilServing(keeper, '1.0')

      keeper.setTarget(await fixture.loop.offer('1.1'))
      await until('the build has begun', () => openWhileBuilding >= 0)

      expect(openWhileBuilding).to.equal(0)
      const refusal = await rejection(keeper.use(versionNow))
      expect(refusal).to.include({ code: 'LF_DETECTOR_UPDATING' })
      expect(refusal.message).to.contain('1.1')
      release()
      await untilServing(keeper, '1.1')
    })

    it('brings the old model back when the new one does not load', async () => {
      const keeper = await fixture.start({ exclusiveBuild: true }, { waits: { badModel: late } })
      keeper.setTarget(await fixture.loop.offer('1.0'))
      await untilServing(keeper, '1.0')

      keeper.setTarget(await fixture.loop.offer('1.1', { 'model.txt': 'does not load' }))
      await untilError(keeper, 'update_model')

      await untilServing(keeper, '1.0')
      expect(await keeper.use(versionNow)).to.equal('1.0')
    })
  })
})
