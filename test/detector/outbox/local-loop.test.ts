import { join } from 'node:path'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { startLocalLoop } from '../../../src/mock/loop/index.js'
import { noiseJpeg } from '../../helpers/jpegs.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'
import { useOutboxes } from './an-outbox.js'

describe('an outbox and the local Loop', () => {
  const folder = useTemporaryFolder()
  const { open } = useOutboxes()

  for (const dialect of ['current', '0.8'] as const) {
    it(`bring every good image into the inbox through all kinds of trouble, in dialect ${dialect}`, async function () {
      this.timeout(90_000)
      const loop = await startLocalLoop({ folder: join(folder.path, 'loop') }, { log: silentLogger() })
      try {
        await loop.generate({ organization: 'acme', project_name: 'demo' })
        const match = { method: 'POST', path: '/acme/projects/demo/images' }
        loop.addFault({ match, kind: 'status', status: 503, times: 2 })
        loop.addFault({ match, kind: 'too-many-requests', retryAfter: 0.1, after: 1, times: 2 })
        loop.addFault({ match, kind: 'lost-answer', after: 2, times: 1 })
        loop.addFault({ match, kind: 'refuse', after: 3, times: 2 })
        const outbox = await open(
          { folder: join(folder.path, 'outbox'), mode: 'stopped', maxRequests: 2 },
          loop.host,
          dialect,
        )
        const jpeg = await noiseJpeg()
        const bytesOf = (number: number) =>
          number === 17 ? jpeg.subarray(0, 500) : Buffer.concat([jpeg, Buffer.from(`${number}`)])
        const items = Array.from({ length: 50 }, (_, number) => ({
          image: { bytes: bytesOf(number) },
          metadata: { tags: ['uncertain'], source: `camera ${number}` },
        }))
        await Promise.all(items.map((item) => outbox.save(item)))

        await outbox.setMode('continuous_upload')
        await until('all are dealt with', () => outbox.status().normal === 0, 60_000)
        await outbox.stop()

        expect(outbox.status()).to.include({ uploaded: 49, setAside: 1, dropped: 0 })
        const digests = loop.effects({ kind: 'image-upload' }).map(({ digest }) => digest)
        expect(new Set(digests).size).to.equal(49)
        expect(digests.length, 'only what was not confirmed is repeated').to.be.within(
          50,
          49 + (dialect === '0.8' ? 1 : 20),
        )
      } finally {
        await loop.close()
      }
    })
  }
})
