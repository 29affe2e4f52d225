import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { rejection } from '../../helpers/rejection.js'
import { until } from '../../helpers/until.js'
import { untilServing, useKeepers } from './keeper-fixture.js'
import { FORMAT, target } from './pool-double.js'

describe('Version control', () => {
  const fixture = useKeepers()
  const file = () => join(fixture.folder, 'version_control.json')

  it('pins a version by its number, against the target of the Loop, over restarts', async () => {
    const keeper = await fixture.start()
    await fixture.loop.offer('1.0')
    keeper.setTarget(await fixture.loop.offer('1.1'))
    await untilServing(keeper, '1.1')

    await keeper.setVersionControl('1.0')
    await untilServing(keeper, '1.0')
    await keeper.stop()
    const next = await fixture.start()
    next.setTarget(target('1.1'))

    expect(next.versionControl()).to.deep.equal({
      mode: 'specific_version',
      currentVersion: '1.0',
      targetVersion: '1.0',
      loopVersion: '1.1',
      localVersions: ['1.0', '1.1'],
    })
    await next.setVersionControl('follow_loop')
    await untilServing(next, '1.1')
  })

  it('updates nothing while it is paused, and keeps what serves', async () => {
    const keeper = await fixture.start()
    keeper.setTarget(await fixture.loop.offer('1.0'))
    await untilServing(keeper, '1.0')

    await keeper.setVersionControl('pause')
    keeper.setTarget(await fixture.loop.offer('1.1'))

    expect(keeper.state().updating).to.equal(null)
    expect(keeper.versionControl()).to.deep.include({
      mode: 'pause',
      currentVersion: '1.0',
      targetVersion: '1.0',
      loopVersion: '1.1',
    })
    await keeper.stop()
    expect((await fixture.start()).versionControl().mode).to.equal('pause')
  })

  it('starts in the mode it is given until one is chosen', async () => {
    const keeper = await fixture.start({ initialMode: 'pause' })
    expect(keeper.versionControl()).to.deep.include({ mode: 'pause', targetVersion: null })
    keeper.setTarget(await fixture.loop.offer('1.0'))
    expect(keeper.state().updating).to.equal(null)

    await keeper.setVersionControl('follow_loop')

    await untilServing(keeper, '1.0')
    await keeper.stop()
    expect((await fixture.start({ initialMode: 'pause' })).versionControl().mode).to.equal('follow_loop')
  })

  it('gives up an update when it is paused meanwhile', async () => {
    const keeper = await fixture.start()
    fixture.loop.zips.set('id-of-1.0', { silent: true })
    keeper.setTarget(target('1.0'))
    await until('the download has begun', () => fixture.loop.downloads('1.0') > 0)

    await keeper.setVersionControl('pause')

    await until('the update is given up', () => keeper.state().updating === null)
    expect(keeper.state().errors).to.deep.equal({})
  })

  for (const text of ['', 'latest', 'Follow_Loop', '1.', '.1', '1..2', '../1', '1.0; rm', 'v1.0', 'x'.repeat(10_000)]) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))} and stays as it was`, async () => {
      const keeper = await fixture.start()

      const error = await rejection(keeper.setVersionControl(text))

      expect(error.code).to.equal('LF_DETECTOR_VERSION')
      expect(error.message.length).to.be.below(300)
      expect(keeper.versionControl().mode).to.equal('follow_loop')
      expect(await readFile(file(), 'utf8').catch(() => 'none')).to.equal('none')
    })
  }

  it('refuses a version that the Loop does not have, has twice, or has in another format', async () => {
    const keeper = await fixture.start()
    await keeper.setVersionControl('pause')
    fixture.loop.entries.push(
      { id: 'one', version: '2.0', formats: [FORMAT] },
      { id: 'two', version: '2.0', formats: [FORMAT] },
      { id: 'three', version: '3.0', formats: ['yolov5_wts'] },
      { id: 'four', version: null, formats: [FORMAT] },
    )

    const choose = (text: string) => rejection(keeper.setVersionControl(text))
    expect((await choose('9.9')).message).to.equal('The Loop has no model of version 9.9.')
    expect((await choose('2.0')).message).to.equal('The Loop has 2 models of version 2.0, so none can be chosen.')
    expect((await choose('3.0')).message).to.contain('comes as yolov5_wts, not as mocked')

    expect(keeper.versionControl().mode).to.equal('pause')
  })

  it('chooses among the versions on disk while the Loop is away', async () => {
    const keeper = await fixture.start()
    for (const version of ['1.0', '1.1']) {
      keeper.setTarget(await fixture.loop.offer(version))
      await untilServing(keeper, version)
    }
    await fixture.loop.http.close()

    await keeper.setVersionControl('1.0')
    const error = await rejection(keeper.setVersionControl('1.2'))

    await untilServing(keeper, '1.0')
    expect(error.message).to.match(/^Version 1\.2 cannot be looked up: The Loop did not answer/)
    expect(keeper.versionControl().mode).to.equal('specific_version')
  })

  for (const text of [
    '{"half',
    '{"mode": "latest"}',
    '{"mode":"specific_version","target":{"id":"a","version":"../.."}}',
  ]) {
    it(`pauses when ${text} was kept, and says so until somebody chooses`, async () => {
      await writeFile(file(), text)

      const keeper = await fixture.start()

      expect(keeper.versionControl().mode).to.equal('pause')
      expect(keeper.state().errors.version_control).to.contain('version_control.json')
      await keeper.setVersionControl('follow_loop')
      expect(keeper.state().errors).to.deep.equal({})
    })
  }

  it('takes the last of several choices at the same time', async () => {
    const keeper = await fixture.start()
    await fixture.loop.offer('1.0')
    await fixture.loop.offer('1.1')

    await Promise.all(['1.0', 'pause', '1.1'].map((text) => keeper.setVersionControl(text)))

    await untilServing(keeper, '1.1')
    expect(JSON.parse(await readFile(file(), 'utf8'))).to.deep.equal({
      mode: 'specific_version',
      target: target('1.1'),
    })
  })
})
