import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { silentLogger } from '../../../src/base/logger/logger.js'
import { startLocalLoop } from '../../../src/mock/loop/index.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

describe('the local Loop', () => {
  const folder = useTemporaryFolder()

  it('does not start on a port that is taken, and starts on the same folder afterwards', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as AddressInfo
    const log = silentLogger()

    const error = await rejection(startLocalLoop({ folder: folder.path, port }, { log }))
    await new Promise((resolve) => other.close(resolve))
    const loop = await startLocalLoop({ folder: folder.path, port }, { log })
    await Promise.all([loop.close(), loop.close()])
    await loop.close()

    expect(error).to.include({ code: 'EADDRINUSE' })
  })
})
