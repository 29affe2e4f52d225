import { execFile } from 'node:child_process'
import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { type FileLine, readJsonLines, tailJsonLines } from '../../src/base/json-lines.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

describe('lines of a growing file', () => {
  const folder = useTemporaryFolder()
  const path = (): string => join(folder.path, 'events.jsonl')
  const abort = { now: new AbortController() }

  beforeEach(() => {
    abort.now = new AbortController()
  })

  const follow = (options: { from?: number; maxLineBytes?: number } = {}) => {
    const seen: FileLine[] = []
    const run = async (): Promise<void> => {
      for await (const line of tailJsonLines(path(), { signal: abort.now.signal, everyMs: 5, ...options }))
        seen.push(line)
    }
    const done = run()
    const until_ = (count: number) => until(`${count} lines`, () => seen.length >= count)
    const stop = async (): Promise<FileLine[]> => {
      abort.now.abort()
      await done
      return seen
    }
    return { until: until_, stop }
  }

  it('are followed from before the file is there until the signal is aborted', async () => {
    const tail = follow()

    await appendFile(path(), 'one\n')
    await tail.until(1)
    await appendFile(path(), 'two\r\n\n  \nthree\n')
    await tail.until(3)

    expect(await tail.stop()).to.deep.equal([
      { line: 'one', endOffset: 4 },
      { line: 'two', endOffset: 9 },
      { line: 'three', endOffset: 19 },
    ])
  })

  it('come whole, also when written in pieces and in the midst of a letter', async () => {
    const tail = follow()
    const bytes = Buffer.from('{"ü":1}\n')

    await appendFile(path(), bytes.subarray(0, 3))
    await appendFile(path(), 'x'.repeat(0))
    await appendFile(path(), bytes.subarray(3, 5))
    await appendFile(path(), bytes.subarray(5))
    await tail.until(1)

    expect((await tail.stop()).map(({ line }) => line)).to.deep.equal(['{"ü":1}'])
  })

  it('go on at a given offset', async () => {
    await writeFile(path(), 'one\ntwo\nthree\n')

    const tail = follow({ from: 4 })
    await tail.until(2)

    expect((await tail.stop()).map(({ line }) => line)).to.deep.equal(['two', 'three'])
  })

  it('that are too long are reported and skipped, and memory stays small', async () => {
    await writeFile(path(), 'a\n')
    for (let part = 0; part < 20; part++) await appendFile(path(), Buffer.alloc(1024 * 1024, 'x'))
    await appendFile(path(), '\nb\n')

    const tail = follow({ maxLineBytes: 1000 })
    await tail.until(3)
    const lines = await tail.stop()

    expect(lines.map(({ tooLong }) => tooLong === true)).to.deep.equal([false, true, false])
    expect(lines[1]?.line).to.equal('x'.repeat(200))
    expect(lines[2]?.endOffset).to.equal(2 + 20 * 1024 * 1024 + 1 + 2)
  })

  it('begin again when the file was cut or replaced', async () => {
    await writeFile(path(), 'a long first line\n')
    const tail = follow()
    await tail.until(1)

    await writeFile(path(), 'cut\n')
    await tail.until(2)
    await writeFile(join(folder.path, 'other'), 'another file that is longer\n')
    await rename(join(folder.path, 'other'), path())
    await tail.until(3)

    const lines = (await tail.stop()).map(({ line }) => line)
    expect(lines).to.deep.equal(['a long first line', 'cut', 'another file that is longer'])
  })

  it('are not waited for at a named pipe or a folder', async () => {
    await promisify(execFile)('mkfifo', [path()])
    await mkdir(join(folder.path, 'folder'))

    const lines: FileLine[] = []
    for await (const line of readJsonLines(path())) lines.push(line)
    for await (const line of readJsonLines(join(folder.path, 'folder'))) lines.push(line)

    expect(lines).to.deep.equal([])
  })

  it('are read once with the last one that has no end', async () => {
    await writeFile(path(), 'one\n\u0000\ufffd\ntwo')

    const lines: string[] = []
    for await (const { line } of readJsonLines(path())) lines.push(line)

    expect(lines).to.deep.equal(['one', '\u0000\ufffd', 'two'])
  })

  it('are none when there is no file', async () => {
    const lines: FileLine[] = []
    for await (const line of readJsonLines(path())) lines.push(line)

    expect(lines).to.deep.equal([])
  })
})
