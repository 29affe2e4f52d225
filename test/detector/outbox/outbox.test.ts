import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { createOutbox } from '../../../src/detector/outbox/outbox.js'
import { json } from '../../helpers/http-loop.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { image, NOBODY, numbersOf, putEntry, useOutboxes } from './an-outbox.js'

describe('an outbox', () => {
  const folder = useTemporaryFolder()
  const { open, serve } = useOutboxes()
  const path = (...names: string[]) => join(folder.path, ...names)
  const stopped = { mode: 'stopped' } as const

  it('keeps an image in a folder of its own, in the layout of the Python library', async () => {
    const outbox = await open({ folder: folder.path, ...stopped }, NOBODY)

    const name = await outbox.save({ image: { bytes: Buffer.from('jpeg') }, metadata: { tags: ['a'] } })
    const important = await outbox.save({ ...image(2), priority: true })

    expect(name).to.match(/^\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{6}$/)
    expect(await readFile(path('normal', name, `image_${name}.jpg`), 'utf8')).to.equal('jpeg')
    expect(JSON.parse(await readFile(path('normal', name, `image_${name}.json`), 'utf8'))).to.deep.equal({
      tags: ['a'],
    })
    expect(await readdir(path('priority'))).to.deep.equal([important])
    expect(await readdir(path('tmp'))).to.deep.equal([])
    expect(outbox.status()).to.include({ normal: 1, priority: 1 })
  })

  it('sends what is saved, with names that pair, and deletes it when the Loop has taken it', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path }, loop.host)

    const name = await outbox.save(image(7))
    await until('it is sent', () => outbox.status().uploaded === 1)

    expect(loop.taken[0]?.[0]).to.deep.include({
      name: `image_${encodeURIComponent(name)}.jpg`,
      metadata: { number: 7 },
    })
    expect(loop.seen[0]).to.include({ method: 'POST', url: '/api/acme/projects/demo/images' })
    expect(outbox.status()).to.include({ normal: 0, bytes: 0, uploaded: 1 })
    await until('it is deleted', async () => (await readdir(path('normal'))).length === 0)
  })

  it('sends batches of twenty, important images first and else in the order of saving', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path, ...stopped, maxRequests: 1 }, loop.host)
    for (let number = 0; number < 45; number += 1) await outbox.save({ ...image(number), priority: number % 15 === 14 })

    await outbox.setMode('continuous_upload')
    await until('all are sent', () => outbox.status().uploaded === 45)

    expect(loop.taken.map((images) => images.length)).to.deep.equal([20, 20, 5])
    const ordinary = Array.from({ length: 45 }, (_, number) => number).filter((number) => number % 15 !== 14)
    expect(numbersOf(loop.taken)).to.deep.equal([14, 29, 44, ...ordinary])
  })

  it('sends one image in a request, under the old names, in dialect 0.8', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path }, loop.host, '0.8')

    await Promise.all(Array.from({ length: 5 }, (_, number) => outbox.save(image(number))))
    await until('all are sent', () => outbox.status().uploaded === 5)

    expect(loop.taken.map((images) => images.map(({ name }) => name))).to.deep.equal(Array(5).fill(['image.jpg']))
  })

  it('goes on in the same order after a restart', async () => {
    const first = await open({ folder: folder.path, ...stopped }, NOBODY)
    for (let number = 0; number < 30; number += 1) await first.save(image(number))
    await first.stop()
    const loop = await serve()

    const second = await open({ folder: folder.path, maxRequests: 1 }, loop.host)
    await until('all are sent', () => second.status().uploaded === 30)

    expect(numbersOf(loop.taken)).to.deep.equal(Array.from({ length: 30 }, (_, number) => number))
  })

  it('takes over what the Python library has left, in the layouts of its releases', async () => {
    const old = '2024-03-09_07:05:01.042'
    const newer = '2025-03-09_07:05:01.042123'
    await putEntry(path(old), { 'image.json': '{"number":1}', 'image.jpg': 'jpeg' })
    const between = '2024-09-09_07:05:01.042'
    await putEntry(path(between), { [`image_${between}.json`]: '{"number":2}', [`image_${between}.jpg`]: 'jpeg' })
    await putEntry(path('normal', newer), { [`image_${newer}.json`]: '{"number":3}', [`image_${newer}.jpg`]: 'jpeg' })
    await putEntry(path('priority', newer), { [`image_${newer}.json`]: '{"number":4}', [`image_${newer}.jpg`]: 'j' })
    const loop = await serve()

    const outbox = await open({ folder: folder.path }, loop.host)
    await until('all are sent', () => outbox.status().uploaded === 4)

    expect(numbersOf(loop.taken)).to.deep.equal([4, 1, 2, 3])
    expect(outbox.status().setAside).to.equal(0)
  })

  it('sets broken and half entries aside, with the reason, and sends the others', async () => {
    const normal = (name: string, files: Record<string, string>) => putEntry(path('normal', name), files)
    await normal('2024-01-01_00:00:00.000001', { 'image.json': '{"half":', 'image.jpg': 'jpeg' })
    await normal('2024-01-01_00:00:00.000002', { 'image.json': '{}' })
    await normal('2024-01-01_00:00:00.000003', { 'image.jpg': 'jpeg' })
    await normal('2024-01-01_00:00:00.000004', { 'image.json': '{}', 'image.jpg': '' })
    await normal('2024-01-01_00:00:00.000005', { 'image.json': '[]', 'image.jpg': 'jpeg' })
    await normal('2024-01-01_00:00:00.000006', {})
    await normal('2024-01-01_00:00:00.000007', { 'image.json': '{}' })
    await symlink('/etc/passwd', path('normal', '2024-01-01_00:00:00.000007', 'image.jpg'))
    await normal('a stranger "with\r\nodd letters', { 'image.json': '{"number":1}', 'image.jpg': 'jpeg' })
    await writeFile(path('normal', 'no folder'), 'text')
    const loop = await serve()

    const outbox = await open({ folder: folder.path }, loop.host)
    await until('the good one is sent', () => outbox.status().uploaded === 1)

    expect(outbox.status()).to.include({ normal: 0, setAside: 7, uploaded: 1 })
    expect(numbersOf(loop.taken)).to.deep.equal([1])
    expect(await readFile(path('set_aside', '2024-01-01_00:00:00.000001', 'reason.txt'), 'utf8')).to.equal(
      'its metadata are no JSON object\n',
    )
  })

  it('does not count what vanished as sent', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path, ...stopped }, loop.host)
    const names: string[] = []
    for (let number = 0; number < 3; number += 1) names.push(await outbox.save(image(number)))
    await rm(path('normal', names[1] ?? ''), { recursive: true })

    await outbox.setMode('continuous_upload')
    await until('nothing waits', () => outbox.status().normal === 0)

    expect(outbox.status()).to.include({ uploaded: 2, setAside: 0 })
    expect(numbersOf(loop.taken)).to.deep.equal([0, 2])
  })

  it('gives up the oldest normal images past its limits, important ones last, and counts them', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path, ...stopped, maxImages: 4 }, loop.host)
    for (const number of [0, 1, 2]) await outbox.save(image(number))
    for (const number of [3, 4, 5]) await outbox.save({ ...image(number), priority: true })

    expect(outbox.status()).to.include({ normal: 1, priority: 3, dropped: 2 })
    for (const number of [6, 7]) await outbox.save({ ...image(number), priority: true })
    expect(outbox.status()).to.include({ normal: 0, priority: 4, dropped: 4 })
    const refused = await rejection(outbox.save(image(8)))

    expect(refused).to.include({ code: 'LF_OUTBOX_FULL' })
    await outbox.setMode('continuous_upload')
    await until('all are sent', () => outbox.status().uploaded === 4)
    expect(numbersOf(loop.taken)).to.deep.equal([4, 5, 6, 7])
    expect([...(await readdir(path('normal'))), ...(await readdir(path('priority')))]).to.deep.equal([])
  })

  it('keeps within its bytes, and refuses what could never fit', async () => {
    const outbox = await open({ folder: folder.path, ...stopped, maxBytes: 5000 }, NOBODY)
    for (let number = 0; number < 20; number += 1) await outbox.save(image(number, 1000))

    const refused = await rejection(outbox.save(image(21, 6000)))

    expect(refused).to.include({ code: 'LF_OUTBOX_FULL' })
    expect(outbox.status()).to.include({ normal: 4, dropped: 16 })
    expect(outbox.status().bytes).to.be.at.most(5000)
    expect(await readdir(path('normal'))).to.have.lengthOf(4)
  })

  it('gives up nothing at its start, although it was fuller than it may be now', async () => {
    const first = await open({ folder: folder.path, ...stopped }, NOBODY)
    for (let number = 0; number < 10; number += 1) await first.save(image(number))
    await first.stop()

    const second = await open({ folder: folder.path, ...stopped, maxImages: 3 }, NOBODY)
    await second.save(image(10))

    expect(second.status()).to.include({ normal: 10, dropped: 1 })
  })

  it('saves five hundred images at the same time', async () => {
    const outbox = await open({ folder: folder.path, ...stopped }, NOBODY)

    const names = await Promise.all(Array.from({ length: 500 }, (_, number) => outbox.save(image(number))))

    expect(new Set(names).size).to.equal(500)
    expect(await readdir(path('normal'))).to.have.members(names)
    expect(outbox.status()).to.include({ normal: 500, dropped: 0 })
  })

  it('saves while it is stopped, and sends nothing then', async () => {
    const loop = await serve()
    const outbox = await open({ folder: folder.path }, loop.host)
    await outbox.save(image(1))
    await until('it is sent', () => outbox.status().uploaded === 1)

    await outbox.setMode('stopped')
    await outbox.save(image(2))

    expect(outbox.mode).to.equal('stopped')
    expect(outbox.status()).to.include({ normal: 1, uploaded: 1 })
    expect(loop.seen).to.have.lengthOf(1)
  })

  it('refuses images before its start and after its end', async () => {
    const outbox = await open({ folder: folder.path }, NOBODY)
    await outbox.stop()

    expect(await rejection(outbox.save(image(1)))).to.include({ code: 'LF_OUTBOX_CLOSED' })
  })

  it('fills an empty date with the time in the name, as dialect 0.8 has it', async () => {
    const outbox = await open({ folder: folder.path, ...stopped }, NOBODY)

    const name = await outbox.save({ ...image(1), metadata: { date: null } })

    const saved = JSON.parse(await readFile(path('normal', name, `image_${name}.json`), 'utf8'))
    expect(saved.date).to.equal(name.slice(0, '2024-03-09_07:05:01.042'.length))
  })

  it('does not send again what it could not delete', async () => {
    const loop = await serve(async () => {
      await replaceByFile(path('tmp'))
      return json({})
    })
    const outbox = await open({ folder: folder.path, ...stopped }, loop.host)
    await outbox.save(image(1))
    await outbox.setMode('continuous_upload')
    await until('it is sent', () => outbox.status().uploaded === 1)

    await rm(path('tmp'))
    await mkdir(path('tmp'))
    await outbox.save(image(2))
    await until('the second is sent', () => outbox.status().uploaded === 2)

    expect(numbersOf(loop.taken)).to.deep.equal([1, 2])
  })

  it('takes the next name when somebody else has taken one', async () => {
    const upload = { maxImages: 20, upload: async () => undefined }
    const now = () => new Date(2024, 2, 9, 12, 0, 0, 0).getTime()
    const outbox = createOutbox({ folder: folder.path, ...stopped }, { upload, log: silentLogger(), now })
    await outbox.start({ signal: new AbortController().signal })
    await putEntry(path('normal', '2024-03-09_12:00:00.000000'), { 'image.json': '{}', 'image.jpg': 'of another' })
    await mkdir(path('tmp', '2024-03-09_12:00:00.000001'))

    const name = await outbox.save(image(1))
    await outbox.stop()

    expect(name).to.equal('2024-03-09_12:00:00.000002')
    expect(await readFile(path('normal', '2024-03-09_12:00:00.000000', 'image.jpg'), 'utf8')).to.equal('of another')
    expect(await readdir(path('tmp'))).to.deep.equal(['2024-03-09_12:00:00.000001'])
  })

  it('goes on when its folder was deleted under it', async () => {
    const loop = await serve()
    const outbox = await open({ folder: path('outbox'), ...stopped }, loop.host)
    await outbox.save(image(1))
    await rm(path('outbox'), { recursive: true })

    await outbox.save(image(2))
    await outbox.setMode('continuous_upload')
    await until('nothing waits', () => outbox.status().normal === 0)

    expect(numbersOf(loop.taken)).to.deep.equal([2])
    expect(outbox.status()).to.include({ uploaded: 1, setAside: 0 })
  })

  it('clears what a killed process was writing', async () => {
    await putEntry(path('tmp', '2024-01-01_00:00:00.000001'), { 'image.json': '{}' })
    await mkdir(path('normal'))

    await open({ folder: folder.path }, NOBODY)

    expect(await readdir(path('tmp'))).to.deep.equal([])
  })

  it('names images in rising order although many are saved in one millisecond and the Loop is away', async () => {
    const loop = await serve(() => json({}, 503))
    const outbox = await open({ folder: folder.path }, loop.host)

    const names: string[] = []
    for (let number = 0; number < 50; number += 1) names.push(await outbox.save(image(number)))

    expect(names).to.deep.equal([...new Set(names)].sort())
  })
})

async function replaceByFile(folder: string): Promise<void> {
  await rm(folder, { recursive: true })
  await writeFile(folder, '')
}
