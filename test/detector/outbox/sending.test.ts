import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { json } from '../../helpers/http-loop.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { image, NOBODY, numbersOf, type SentImage, useOutboxes } from './an-outbox.js'

describe('an outbox before a difficult Loop', () => {
  const folder = useTemporaryFolder()
  const { open, serve } = useOutboxes()
  const path = (...names: string[]) => join(folder.path, ...names)
  const stopped = { mode: 'stopped' } as const
  const hasNumber = (images: readonly SentImage[], ...numbers: number[]) =>
    images.some(({ metadata }) => numbers.includes(Number(metadata.number)))

  it('finds the one poisonous image among a thousand and sends the others, each once', async function () {
    this.timeout(120_000)
    const loop = await serve((images) => (hasNumber(images, 617) ? json({ detail: 'bad content' }, 422) : json({})))
    const outbox = await open({ folder: folder.path, ...stopped }, loop.host)
    const names = await Promise.all(Array.from({ length: 1000 }, (_, number) => outbox.save(image(number))))

    await outbox.setMode('continuous_upload')
    await until('all are dealt with', () => outbox.status().normal === 0, 100_000)

    expect(outbox.status()).to.include({ uploaded: 999, setAside: 1, dropped: 0 })
    const sent = numbersOf(loop.taken)
    expect(sent).to.have.lengthOf(999)
    expect(new Set(sent).size).to.equal(999)
    expect(sent).not.to.include(617)
    expect(await readdir(path('set_aside'))).to.deep.equal([names[617]])
    expect(await readFile(path('set_aside', names[617] ?? '', 'reason.txt'), 'utf8')).to.contain('bad content')
  })

  it('bounds what is set aside when the Loop refuses everything', async () => {
    const loop = await serve(() => json({ detail: 'no' }, 422))
    const outbox = await open({ folder: folder.path, ...stopped, maxSetAside: 5 }, loop.host)
    const names: string[] = []
    for (let number = 0; number < 12; number += 1) names.push(await outbox.save(image(number)))

    await outbox.setMode('continuous_upload')
    await until('all are set aside', () => outbox.status().normal === 0)

    expect(outbox.status().setAside).to.equal(5)
    expect((await readdir(path('set_aside'))).sort()).to.deep.equal(names.slice(7))
    expect(loop.seen, 'twelve alone and eleven groups').to.have.lengthOf(23)
  })

  it('sends fewer images in one request when they are too large together', async () => {
    const loop = await serve((images) => (images.length > 3 ? json({}, 413) : json({})))
    const outbox = await open({ folder: folder.path, ...stopped }, loop.host)
    for (let number = 0; number < 20; number += 1) await outbox.save(image(number))

    await outbox.setMode('continuous_upload')
    await until('all are sent', () => outbox.status().uploaded === 20)

    expect(numbersOf(loop.taken)).to.deep.equal(Array.from({ length: 20 }, (_, number) => number))
    expect(outbox.status().setAside).to.equal(0)
  })

  it('waits as long as a busy Loop asks for', async () => {
    const at: number[] = []
    const loop = await serve(() => {
      at.push(performance.now())
      return at.length === 1 ? { ...json({}, 429), headers: { 'retry-after': '1' } } : json({})
    })
    const outbox = await open({ folder: folder.path }, loop.host)

    await outbox.save(image(1))
    await until('it is sent', () => outbox.status().uploaded === 1)

    expect((at[1] ?? 0) - (at[0] ?? 0)).to.be.at.least(990)
    expect(loop.seen).to.have.lengthOf(2)
  })

  it('tries again after errors and lost connections, and says why nothing goes out', async () => {
    const answers = [json({ detail: 'on fire' }, 500), json({}, 404), { status: 200, body: 'x', cutAfter: 0 }]
    const loop = await serve(() => answers.shift() ?? json({}))
    const outbox = await open({ folder: folder.path, retryFirstMs: 100, retryMaxMs: 200 }, loop.host)

    await outbox.save(image(1))
    await until('it says why', () => outbox.status().problem?.includes('on fire'))
    await until('it is sent and all is well', () => {
      const { uploaded, problem } = outbox.status()
      return uploaded === 1 && problem === null
    })

    expect(loop.seen.length).to.be.at.least(3)
    expect(outbox.status()).to.include({ normal: 0, setAside: 0, dropped: 0 })
  })

  for (const [how, reply] of Object.entries({
    'cuts the connection': { cut: true },
    'answers 500': json({ detail: 'it broke' }, 500),
  })) {
    it(`sends all others when the Loop ${how} at two images, and sets these aside after many tries`, async function () {
      this.timeout(60_000)
      const loop = await serve((images) => (hasNumber(images, 0, 3) ? reply : json({})))
      const outbox = await open({ folder: folder.path, ...stopped, retryMaxMs: 20 }, loop.host)
      const names: string[] = []
      for (let number = 0; number < 30; number += 1) names.push(await outbox.save(image(number)))
      await outbox.setMode('continuous_upload')
      await until('the others are sent', () => outbox.status().uploaded === 28, 30_000)
      expect(outbox.status()).to.include({ normal: 2, setAside: 0 })

      for (let number = 30; outbox.status().setAside < 2; number += 1) {
        await outbox.save(image(number))
        await until('it is sent', () => outbox.status().uploaded === number - 1)
        const tries = loop.seen.length
        await until('another one is tried', () => loop.seen.length > tries || outbox.status().normal === 0)
      }

      expect((await readdir(path('set_aside'))).sort()).to.deep.equal([names[0], names[3]])
      expect(await readFile(path('set_aside', names[3] ?? '', 'reason.txt'), 'utf8')).to.contain('failed 5 times')
      const sent = numbersOf(loop.taken)
      expect(new Set(sent).size).to.equal(sent.length)
    })
  }

  it('sets nothing aside when the Loop is away for long, again and again', async function () {
    this.timeout(60_000)
    let isAway = true
    const loop = await serve(() => (isAway ? { cut: true } : json({})))
    const outbox = await open({ folder: folder.path, retryFirstMs: 1, retryMaxMs: 2, maxBatch: 1 }, loop.host)

    for (let round = 1; round <= 6; round += 1) {
      isAway = true
      for (let number = 0; number < 10; number += 1) await outbox.save(image(number))
      const tries = loop.seen.length
      await until('all were tried for long', () => loop.seen.length > tries + 60, 20_000)
      isAway = false
      await until('all are sent', () => outbox.status().uploaded === round * 10, 20_000)
    }

    expect(outbox.status()).to.include({ normal: 0, setAside: 0, dropped: 0 })
  })

  it('keeps everything while nobody answers, and sends it when somebody does', async () => {
    const first = await open({ folder: folder.path, maxImages: 50 }, NOBODY)
    for (let number = 0; number < 60; number += 1) await first.save(image(number))
    await until('it says why', () => first.status().problem !== null)
    const held = first.status()
    await first.stop()
    const loop = await serve()

    const second = await open({ folder: folder.path }, loop.host)
    await until('all are sent', () => second.status().uploaded === held.normal)

    expect(held.normal).to.be.within(50, 51)
    expect(held.normal + held.dropped).to.equal(60)
  })

  it('has one request under way at a time for single images, and several full ones for many', async () => {
    let [underWay, most] = [0, 0]
    const loop = await serve(async () => {
      underWay += 1
      most = Math.max(most, underWay)
      await new Promise((resolve) => setTimeout(resolve, 30))
      underWay -= 1
      return json({})
    })
    const outbox = await open({ folder: folder.path }, loop.host)
    for (let number = 0; number < 10; number += 1) await outbox.save(image(number))
    await until('the few are sent', () => outbox.status().uploaded === 10)
    const mostForFew = most

    await outbox.setMode('stopped')
    await Promise.all(Array.from({ length: 100 }, (_, number) => outbox.save(image(number))))
    await outbox.setMode('continuous_upload')
    await until('the many are sent', () => outbox.status().uploaded === 110)

    expect(mostForFew).to.equal(1)
    expect(most).to.be.within(2, 4)
  })

  it('ends a request under way before it stops, and breaks off one that takes too long', async () => {
    const loop = await serve(() => new Promise((resolve) => setTimeout(() => resolve(json({})), 200)))
    const outbox = await open({ folder: folder.path }, loop.host)
    await outbox.save(image(1))
    await until('it is under way', () => loop.seen.length === 1)
    await outbox.setMode('stopped')
    expect(outbox.status().uploaded).to.equal(1)
    const silent = await serve(() => ({ silent: true }))
    const stuck = await open({ folder: path('stuck'), stopGraceMs: 50 }, silent.host)
    await stuck.save(image(2))
    await until('it is under way', () => silent.seen.length === 1)

    await stuck.stop()

    expect(stuck.status()).to.include({ normal: 1, uploaded: 0 })
  })
})
