import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { unzipChecked } from '../../src/base/archives/unzip.js'
import { zipStream } from '../../src/base/zip/zip.js'

const ENTRY = 'archive/data.pkl'

/** What a stand-in for PyTorch has saved: a zip with one entry. */
export async function readZipped(path: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'loopfleet-zipped-'))
  try {
    await unzipChecked(path, folder)
    return await readFile(join(folder, ENTRY), 'utf8')
  } finally {
    await rm(folder, { recursive: true })
  }
}

export async function writeZipped(path: string, content: string): Promise<void> {
  await pipeline(zipStream([{ name: ENTRY, data: Buffer.from(content) }]), createWriteStream(path))
}
