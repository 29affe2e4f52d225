import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { ZipFile } from 'yazl'
import { type UnzipLimits, unzipChecked } from '../../../src/base/archives/unzip.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'

const CENTRAL_HEADER = Buffer.from('PK\x01\x02', 'latin1')

describe('unzipping', () => {
  const folder = useTemporaryFolder()
  const target = (): string => join(folder.path, 'target')

  const unzip = async (zip: Buffer, limits?: UnzipLimits): Promise<string[]> => {
    await writeFile(join(folder.path, 'model.zip'), zip)
    return unzipChecked(join(folder.path, 'model.zip'), target(), limits)
  }
  const refusalOf = async (zip: Buffer, limits?: UnzipLimits): Promise<string> => {
    const error = await rejection(unzip(zip, limits))
    expect(error).to.include({ code: 'LF_ARCHIVE_REFUSED', failure: 'fatal' })
    expect(await readdir(folder.path), 'nothing of it is kept').to.deep.equal(['model.zip'])
    return error.message
  }

  it('keeps files and folders, also empty ones, and answers the files', async () => {
    const zip = await zipped((file) => {
      file.addBuffer(Buffer.from('{}'), 'model.json')
      file.addBuffer(Buffer.alloc(300_000, 7), 'deep/er/model.pt', { compress: false })
      file.addEmptyDirectory('empty')
      file.addBuffer(Buffer.alloc(0), 'nothing.txt')
    })

    const files = await unzip(zip)

    expect(files).to.deep.equal(['model.json', 'deep/er/model.pt', 'nothing.txt'])
    expect((await readdir(target())).sort()).to.deep.equal(['deep', 'empty', 'model.json', 'nothing.txt'])
    expect((await readFile(join(target(), 'deep/er/model.pt'))).equals(Buffer.alloc(300_000, 7))).to.equal(true)
    expect(await readdir(folder.path)).to.have.members(['model.zip', 'target'])
  })

  it('gives no file a right to be executed or a foreign mode', async () => {
    await unzip(await zipped((file) => file.addBuffer(Buffer.from('#!'), 'run.sh', { mode: 0o104777 })))

    expect((await stat(join(target(), 'run.sh'))).mode & 0o7111).to.equal(0)
  })

  for (const [what, name] of [
    ['that climbs out of its folder', '../evil'],
    ['that climbs out deeper inside', 'a/../../evil'],
    ['that is absolute', '/tmp/evil'],
    ['with a backslash', '..\\evil'],
    ['with a drive', 'c:/evil'],
    ['with a NUL', 'evil\0.txt'],
    ['that is two dots', '..'],
    ['that is a dot', '.'],
  ] as const) {
    it(`refuses a name ${what}`, async () => {
      await refusalOf(await zippedAs(name))
    })
  }

  it('refuses names that no disk can hold', async () => {
    await refusalOf(await zippedAs('x'.repeat(300)))
    await refusalOf(await zippedAs('xy/'.repeat(800).slice(0, -1)))
  })

  it('refuses the same name twice, also in another spelling', async () => {
    for (const [first, second] of [
      ['same', 'same'],
      ['a/same', 'a//same'],
      ['same', './same'],
    ] as const) {
      const zip = await zipped((file) => {
        file.addBuffer(Buffer.from('1'), '1'.repeat(first.length))
        file.addBuffer(Buffer.from('2'), '2'.repeat(second.length))
      })
      const twice = replaceAll(replaceAll(zip, '1'.repeat(first.length), first), '2'.repeat(second.length), second)
      expect(await refusalOf(twice)).to.include('twice')
    }
  })

  it('refuses a name that is a file and a folder, in either order', async () => {
    const fileFirst = await zipped((file) => {
      file.addBuffer(Buffer.from('1'), 'a')
      file.addBuffer(Buffer.from('2'), 'a/b')
    })
    const folderFirst = await zipped((file) => {
      file.addEmptyDirectory('a')
      file.addBuffer(Buffer.from('2'), 'a')
    })

    expect(await refusalOf(fileFirst)).to.include('a file and a folder')
    expect(await refusalOf(folderFirst)).to.include('a file and a folder')
  })

  it('refuses symbolic links and devices', async () => {
    for (const mode of [0o120777, 0o020666, 0o010666]) {
      const zip = await zipped((file) => file.addBuffer(Buffer.from('/etc/passwd'), 'link', { mode }))
      expect(await refusalOf(zip)).to.include('a link or a special file')
    }
  })

  it('refuses a file behind a link of the same archive', async () => {
    const zip = await zipped((file) => {
      file.addBuffer(Buffer.from('/tmp'), 'link', { mode: 0o120777 })
      file.addBuffer(Buffer.from('x'), 'link/evil')
    })

    expect(await refusalOf(zip)).to.include('a link')
  })

  it('refuses a checksum that does not fit', async () => {
    const zip = await zipped((file) => file.addBuffer(Buffer.from('the right bytes'), 'a', { compress: false }))

    expect(await refusalOf(replaceAll(zip, 'the right bytes', 'the wrong bytes'))).to.include('checksum')
  })

  it('refuses a bomb by its size, its ratio and its number of entries', async () => {
    const zeros = await zipped((file) => file.addBuffer(Buffer.alloc(80 * 1024 * 1024), 'zeros'))
    const many = await zipped((file) => {
      for (let index = 0; index < 101; index++) file.addBuffer(Buffer.from('x'), `file-${index}`)
    })

    expect(await refusalOf(zeros)).to.include('200 times its size')
    expect(await refusalOf(zeros, { maxRatio: 10_000, maxTotalBytes: 1024 ** 2 })).to.include('more than 1048576 bytes')
    expect(await refusalOf(many, { maxEntries: 100 })).to.include('101 entries')
  })

  it('refuses a bomb whose entries share their bytes', async () => {
    const zip = await zipped((file) => {
      for (let index = 0; index < 90; index++) file.addBuffer(Buffer.alloc(1024 * 1024), `zeros-${index}`)
    })
    const offsets = offsetsOf(zip, CENTRAL_HEADER)
    for (const offset of offsets) zip.writeUInt32LE(0, offset + 42)

    await refusalOf(zip)
  })

  it('refuses an entry that holds more or less than it declares', async () => {
    for (const declared of [10, 100_000]) {
      const zip = await zipped((file) => file.addBuffer(Buffer.alloc(50_000, 'x'), 'a'))
      for (const offset of offsetsOf(zip, CENTRAL_HEADER)) zip.writeUInt32LE(declared, offset + 24)
      await refusalOf(zip)
    }
  })

  it('refuses what is encrypted or packed in an unknown way', async () => {
    const encrypted = await zipped((file) => file.addBuffer(Buffer.from('x'), 'a'))
    for (const offset of offsetsOf(encrypted, CENTRAL_HEADER)) encrypted.writeUInt16LE(1, offset + 8)
    const unknown = await zipped((file) => file.addBuffer(Buffer.from('x'), 'a'))
    for (const offset of offsetsOf(unknown, CENTRAL_HEADER)) unknown.writeUInt16LE(99, offset + 10)

    expect(await refusalOf(encrypted)).to.include('encrypted')
    expect(await refusalOf(unknown)).to.include('method 99')
  })

  it('refuses what is no zip, is empty or is cut anywhere', async () => {
    const zip = await zipped((file) => file.addBuffer(Buffer.alloc(2000, 'x'), 'a', { compress: false }))

    await refusalOf(Buffer.alloc(0))
    await refusalOf(Buffer.from('<html>502 Bad Gateway</html>'))
    for (const share of [0.1, 0.5, 0.9, 0.99]) await refusalOf(zip.subarray(0, Math.floor(zip.length * share)))
  })

  it('takes three hundred damaged zips without a trace outside their folders', async function () {
    this.timeout(60_000)
    const zip = await zipped((file) => {
      file.addBuffer(Buffer.alloc(500, 'abc'), 'model.pt')
      file.addBuffer(Buffer.from('{}'), 'deep/model.json')
    })
    let seed = 1
    const random = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % below
    }

    for (let round = 0; round < 300; round++) {
      const damaged = Buffer.from(zip)
      for (let count = 0; count < 4; count++) damaged[random(damaged.length)] = random(256)
      await writeFile(join(folder.path, 'model.zip'), damaged)
      const result = await unzipChecked(join(folder.path, 'model.zip'), join(folder.path, `target-${round}`)).catch(
        (error: unknown) => error,
      )
      if (!Array.isArray(result)) expect(result).to.include({ code: 'LF_ARCHIVE_REFUSED' })
      for (const name of await readdir(folder.path)) expect(name).to.match(/^(model\.zip|target-\d+)$/)
    }
  })

  it('refuses a target that is not empty, and keeps what is there', async () => {
    const zip = await zipped((file) => file.addBuffer(Buffer.from('new'), 'a'))
    await unzip(zip)

    const error = await rejection(unzip(zip))

    expect(error.message).to.include('not empty')
    expect(await readFile(join(target(), 'a'), 'utf8')).to.equal('new')
  })

  it('ends with the reason of the signal and leaves nothing', async () => {
    const zip = await zipped((file) => file.addBuffer(Buffer.from('new'), 'a'))
    const reason = new Error('enough')

    expect(await rejection(unzip(zip, { signal: AbortSignal.abort(reason) }))).to.equal(reason)
    expect(await readdir(folder.path)).to.deep.equal(['model.zip'])
  })

  it('does not blame the archive for an error of the disk', async () => {
    const error = await rejection(unzipChecked(join(folder.path, 'missing.zip'), target()))

    expect(error).to.include({ code: 'ENOENT' })
  })
})

async function zipped(fill: (file: ZipFile) => void): Promise<Buffer> {
  const file = new ZipFile()
  fill(file)
  file.end()
  const chunks: Buffer[] = []
  for await (const chunk of file.outputStream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

/** One entry with a name that no honest program would write. */
async function zippedAs(name: string): Promise<Buffer> {
  const honest = 'n'.repeat(Buffer.byteLength(name))
  return replaceAll(await zipped((file) => file.addBuffer(Buffer.from('evil'), honest)), honest, name)
}

function replaceAll(zip: Buffer, from: string, to: string): Buffer {
  return Buffer.from(
    zip.toString('latin1').replaceAll(from, () => to),
    'latin1',
  )
}

function offsetsOf(zip: Buffer, header: Buffer): number[] {
  const offsets: number[] = []
  for (let at = zip.indexOf(header); at !== -1; at = zip.indexOf(header, at + 1)) offsets.push(at)
  return offsets
}
