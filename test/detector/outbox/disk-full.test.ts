import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { withLittleRoom } from '../../helpers/little-room.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { image, NOBODY, numbersOf, useOutboxes } from './an-outbox.js'

describe('an outbox on a full disk', () => {
  const folder = useTemporaryFolder()
  const { open, serve } = useOutboxes()

  it('says so, leaves nothing torn, gives up nothing older, and goes on when there is room', async () => {
    const small = join(folder.path, 'outbox')
    const normal = join(small, 'normal')
    await mkdir(small)

    await withLittleRoom(small, 1024 * 1024, async () => {
      const outbox = await open({ folder: small, mode: 'stopped' }, NOBODY)
      const saved = await Promise.allSettled(
        Array.from({ length: 30 }, (_, number) => outbox.save(image(number, 50_000))),
      )
      const kept = saved.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))

      const refused = await rejection(outbox.save(image(100, 2_000_000)))

      expect(refused).to.include({ code: 'LF_OUTBOX_WRITE', failure: 'transient' })
      expect(refused.message).to.match(/ENOSPC|EFBIG/)
      expect(await readdir(normal)).to.have.members(kept)
      expect(await readdir(join(small, 'tmp'))).to.deep.equal([])
      for (const name of kept) {
        expect(await readFile(join(normal, name, `image_${name}.jpg`))).to.have.lengthOf(50_000)
        JSON.parse(await readFile(join(normal, name, `image_${name}.json`), 'utf8'))
      }
      expect(outbox.status()).to.include({ normal: kept.length, dropped: 0 })
      await outbox.stop()

      const loop = await serve()
      const again = await open({ folder: small }, loop.host)
      await until('what was kept is sent', () => again.status().uploaded === kept.length)
      await until('there is room again', async () => (await readdir(normal)).length === 0)
      await again.save(image(200, 50_000))
      await until('the next one is sent', () => again.status().uploaded === kept.length + 1)
      expect(numbersOf(loop.taken).at(-1)).to.equal(200)
      await again.stop()
    })
  })

  it('drops nothing for an image that cannot be written', async () => {
    const small = join(folder.path, 'outbox')
    await mkdir(small)

    await withLittleRoom(small, 1024 * 1024, async () => {
      const outbox = await open({ folder: small, mode: 'stopped', maxImages: 3 }, NOBODY)
      for (let number = 0; number < 3; number += 1) await outbox.save(image(number, 1000))
      await rejection(outbox.save(image(3, 2_000_000)))

      expect(outbox.status()).to.include({ normal: 3, dropped: 0 })
      expect(await readdir(join(small, 'normal'))).to.have.lengthOf(3)
      await outbox.stop()
    })
  })
})
