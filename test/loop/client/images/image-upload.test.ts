import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../../src/base/logger/logger.js'
import {
  createImageUpload,
  isContentRefusal,
  type UploadImage,
} from '../../../../src/loop/client/images/image-upload.js'
import { createLoopSession } from '../../../../src/loop/client/session/session.js'
import type { Dialect } from '../../../../src/loop/protocol/index.js'
import { startLocalLoop } from '../../../../src/mock/loop/index.js'
import { json, startHttpLoop } from '../../../helpers/http-loop.js'
import { noiseJpeg } from '../../../helpers/jpegs.js'
import { rejection } from '../../../helpers/rejection.js'
import { useTemporaryFolder } from '../../../helpers/temporary-folder.js'

describe('the upload of images', () => {
  const folder = useTemporaryFolder()
  const closers: (() => unknown)[] = []
  const signal = new AbortController().signal
  const log = silentLogger()
  const account = { username: 'robot', password: 'secret-of-robot' }
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  function uploadTo(host: string, dialect?: Dialect) {
    const session = createLoopSession({ host }, { log })
    closers.push(() => session.close())
    return createImageUpload({ organization: 'zauberzeug', project: 'demo', dialect }, { session })
  }

  async function localLoop() {
    const loop = await startLocalLoop({ folder: join(folder.path, 'loop'), ...account }, { log })
    closers.push(() => loop.close())
    return loop
  }

  async function images(count: number): Promise<UploadImage[]> {
    const imagePath = join(folder.path, 'image.jpg')
    await writeFile(imagePath, await noiseJpeg())
    return Array.from({ length: count }, (_, index) => ({
      name: `2024-03-09_07:05:01.04200${index}`,
      metadata: JSON.stringify({ tags: [`tag${index}`], created: '2024-03-09T07:05:01' }),
      imagePath,
    }))
  }

  it('brings images into the inbox of a Loop that needs a login from everybody else', async () => {
    const loop = await localLoop()

    await uploadTo(loop.host).upload(await images(3), { signal })
    await uploadTo(loop.host, '0.8').upload(await images(1), { signal })

    expect(loop.effects({ kind: 'image-upload' })).to.have.lengthOf(4)
  })

  it('tells refused content from all other failures', async () => {
    const loop = await localLoop()
    const [image] = await images(1)
    const upload = uploadTo(loop.host)
    if (image === undefined) throw new Error('no image')

    const refused = await rejection(upload.upload([{ ...image, metadata: '{"box_detections":7}' }], { signal }))
    loop.addFault({ match: { path: '/zauberzeug' }, kind: 'status', status: 503, times: 1 })
    const failed = await rejection(upload.upload([image], { signal }))
    loop.addFault({ match: { path: '/zauberzeug' }, kind: 'lost-answer', times: 1 })
    const unanswered = await rejection(upload.upload([image], { signal }))

    expect([refused, failed, unanswered].map(isContentRefusal)).to.deep.equal([true, false, false])
    expect(refused).to.have.nested.property('details.status', 422)
    expect(failed).to.include({ code: 'LF_LOOP_REQUEST', failure: 'transient' })
    expect(unanswered).to.include({ code: 'LF_LOOP_REQUEST', failure: 'transient' })
  })

  it('passes on immediately how long a busy Loop asks to wait', async () => {
    const loop = await localLoop()
    loop.addFault({ match: { path: '/zauberzeug' }, kind: 'too-many-requests', retryAfter: 7, times: 1 })

    const busy = await rejection(uploadTo(loop.host).upload(await images(1), { signal }))

    expect(busy).to.have.nested.property('details.status', 429)
    expect(busy).to.have.nested.property('details.retryAfterMs', 7000)
  })

  it('names and types its parts as nodes of either dialect do, without login and cookie', async () => {
    const loop = await startHttpLoop(() => json({}))
    closers.push(() => loop.close())

    await uploadTo(loop.host).upload(await images(2), { signal })
    await uploadTo(loop.host, '0.8').upload(await images(1), { signal })

    const headers = loop.seen.map(({ body }) =>
      [
        ...body.toString('latin1').matchAll(/form-data; name="([^"]*)"; filename="([^"]*)"\r\nContent-Type: (.*)\r\n/g),
      ].map((match) => match.slice(1, 4)),
    )
    const stem = (index: number) => `image_2024-03-09_07%3A05%3A01.04200${index}`
    const text = 'text/plain; charset=utf-8'
    expect(headers).to.deep.equal([
      [0, 1].flatMap((index) => [
        ['files', `${stem(index)}.json`, text],
        ['files', `${stem(index)}.jpg`, 'image/jpeg'],
      ]),
      [
        ['files', 'image.json', 'application/json'],
        ['files', 'image.jpg', 'image/jpeg'],
      ],
    ])
    expect(loop.seen.every(({ headers: { cookie } }) => cookie === undefined)).to.equal(true)
    expect(loop.seenAt(/login/)).to.deep.equal([])
  })

  it('takes no name from outside for a header', async () => {
    const loop = await startHttpLoop(() => json({}))
    closers.push(() => loop.close())
    const [image] = await images(1)
    if (image === undefined) throw new Error('no image')

    await uploadTo(loop.host).upload([{ ...image, name: 'a"\r\nX-Evil: 1\r\n/../b' }], { signal })

    expect(loop.seen[0]?.body.toString('latin1')).not.to.contain('X-Evil: 1')
  })

  it('says that a file is missing instead of blaming the network', async () => {
    const [image] = await images(1)
    if (image === undefined) throw new Error('no image')
    const loop = await startHttpLoop(() => json({}))
    closers.push(() => loop.close())

    const missing = await rejection(
      uploadTo(loop.host).upload([{ ...image, imagePath: join(folder.path, 'gone.jpg') }], { signal }),
    )

    expect(missing.code).to.equal('ENOENT')
    expect(loop.seen).to.deep.equal([])
  })
})
