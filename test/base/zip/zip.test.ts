import { createWriteStream } from 'node:fs'
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import { unzipChecked } from '../../../src/base/archives/unzip.js'
import { type ZipEntry, zipStream } from '../../../src/base/zip/zip.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

describe('a zip stream', () => {
  const folder = useTemporaryFolder()
  const zipPath = (): string => join(folder.path, 'model.zip')
  const write = (entries: ZipEntry[], compress?: boolean): Promise<void> =>
    pipeline(zipStream(entries, { compress }), createWriteStream(zipPath()))

  it('holds files and bytes, packed or as they are', async () => {
    await writeFile(join(folder.path, 'model.pt'), Buffer.alloc(500_000, 3))

    for (const compress of [true, false]) {
      await write(
        [
          { name: 'a/model.pt', path: join(folder.path, 'model.pt') },
          { name: 'model.json', data: '{}' },
        ],
        compress,
      )
      const target = join(folder.path, `unzipped-${compress}`)
      expect(await unzipChecked(zipPath(), target)).to.deep.equal(['a/model.pt', 'model.json'])
      expect((await readFile(join(target, 'a/model.pt'))).equals(Buffer.alloc(500_000, 3))).to.equal(true)
    }
  })

  it('may be empty', async () => {
    await write([])

    expect(await unzipChecked(zipPath(), join(folder.path, 'unzipped'))).to.deep.equal([])
  })

  it('fails when a file is missing, is a folder or has an impossible name', async () => {
    await writeFile(join(folder.path, 'a'), 'a')

    expect(await rejection(write([{ name: 'x', path: join(folder.path, 'gone') }]))).to.include({ code: 'ENOENT' })
    expect(await rejection(write([{ name: 'x', path: folder.path }]))).to.be.an('error')
    expect(await rejection(write([{ name: '../x', path: join(folder.path, 'a') }]))).to.be.an('error')
  })

  it('holds no more than a little of a large file in memory, however slow the reader', async () => {
    const path = join(folder.path, 'large')
    for (let part = 0; part < 8; part++) await writeFile(path, Buffer.alloc(16 * 1024 * 1024), { flag: 'a' })
    const before = process.memoryUsage().rss

    let highest = 0
    let bytes = 0
    for await (const chunk of zipStream([{ name: 'large', path }], { compress: false })) {
      bytes += chunk.length
      await new Promise(setImmediate)
      highest = Math.max(highest, process.memoryUsage().rss - before)
    }

    expect(bytes).to.be.above(128 * 1024 * 1024)
    expect(highest / 1024 / 1024).to.be.below(64)
  })

  it('closes its file when nobody wants the rest', async () => {
    const path = join(folder.path, 'large')
    await writeFile(path, Buffer.alloc(16 * 1024 * 1024))
    const stream = zipStream([{ name: 'large', path }], { compress: false })
    await new Promise((resolve) => stream.once('readable', resolve))

    stream.destroy()

    await until('the file is closed', async () => !(await openFiles()).includes(path))
  })
})

async function openFiles(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd')
  return Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
}
