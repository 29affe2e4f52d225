import { link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { z } from 'zod'
import {
  linkOrCopy,
  readJsonFile,
  removeTree,
  safePathSegment,
  writeFileAtomic,
  writeJsonFile,
} from '../../src/base/files.js'
import { startNodeScript } from '../helpers/node-script.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const schema = z.object({ round: z.number(), filler: z.string() })

describe('files', () => {
  const folder = useTemporaryFolder()

  it('that are written atomically have the new content and leave nothing else behind', async () => {
    const path = join(folder.path, 'a', 'b', 'state.json')

    await writeFileAtomic(path, 'first')
    await writeFileAtomic(path, 'second')

    expect(await readFile(path, 'utf8')).to.equal('second')
    expect(await readdir(join(folder.path, 'a', 'b'))).to.deep.equal(['state.json'])
  })

  it('are whole after kill -9 of their writer, at whatever moment', async () => {
    const path = join(folder.path, 'state.json')

    for (let round = 0; round < 4; round++) {
      const writer = await startNodeScript(new URL('../fixtures/programs/writes-a-state-file', import.meta.url), [path])
      await new Promise((resolve) => setTimeout(resolve, 7 * round))
      await writer.kill('SIGKILL')

      const state = await readJsonFile(path, schema)
      expect(state?.filler).to.have.lengthOf(300_000)
    }
  })

  it('that cannot be written are an error, and the old content stays', async () => {
    await mkdir(join(folder.path, 'state.json', 'x'), { recursive: true })

    expect(await rejection(writeFileAtomic(join(folder.path, 'state.json'), 'new'))).to.be.an('error')
    expect(await readdir(folder.path)).to.deep.equal(['state.json'])
  })

  it('of JSON are checked, missing ones are undefined', async () => {
    const path = join(folder.path, 'state.json')

    expect(await readJsonFile(path, schema)).to.equal(undefined)
    await writeJsonFile(path, { round: 1, filler: '' })
    expect(await readJsonFile(path, schema)).to.deep.equal({ round: 1, filler: '' })
  })

  it('of JSON that are broken are named with what is wrong', async () => {
    const path = join(folder.path, 'state.json')

    for (const text of ['', '{', 'null', '{"round":"x","filler":""}']) {
      await writeFile(path, text)
      const error = await rejection(readJsonFile(path, schema))
      expect(error, text).to.include({ code: 'LF_FILE_INVALID' })
      expect(error.message).to.include(path)
    }
  })

  it('get a second name that replaces what was there', async () => {
    const [from, to] = [join(folder.path, 'from'), join(folder.path, 'deep', 'to')]
    await writeFile(from, 'model')

    await linkOrCopy(from, to)
    await linkOrCopy(from, to)
    await writeFile(join(folder.path, 'newer'), 'newer model')
    await linkOrCopy(join(folder.path, 'newer'), to)

    expect(await readFile(to, 'utf8')).to.equal('newer model')
    expect(await readFile(from, 'utf8')).to.equal('model')
    expect(await readdir(join(folder.path, 'deep'))).to.deep.equal(['to'])
  })

  it('are copied to another file system', async () => {
    const from = join(folder.path, 'from')
    await writeFile(from, 'model')
    const to = `/dev/shm/loopfleet-test-${process.pid}`

    await linkOrCopy(from, to)

    expect(await readFile(to, 'utf8')).to.equal('model')
    await removeTree(to)
  })

  it('behind a symbolic link get the second name themselves', async () => {
    await writeFile(join(folder.path, 'epoch3.pt'), 'model')
    await symlink('epoch3.pt', join(folder.path, 'best.pt'))

    await linkOrCopy(join(folder.path, 'best.pt'), join(folder.path, 'kept', 'best.pt'))

    expect(await readFile(join(folder.path, 'kept', 'best.pt'), 'utf8')).to.equal('model')
  })

  it('are removed with their folder, and a missing one is no error', async () => {
    await mkdir(join(folder.path, 'tree', 'deep'), { recursive: true })
    await writeFile(join(folder.path, 'kept'), 'kept')
    await symlink(folder.path, join(folder.path, 'tree', 'deep', 'link'))
    await link(join(folder.path, 'kept'), join(folder.path, 'tree', 'same'))

    await removeTree(join(folder.path, 'tree'))
    await removeTree(join(folder.path, 'tree'))

    expect(await readdir(folder.path)).to.deep.equal(['kept'])
    expect((await stat(join(folder.path, 'kept'))).nlink).to.equal(1)
  })
})

describe('a path segment', () => {
  it('is the name itself when it is harmless', () => {
    for (const name of ['a', 'ü', '...', '.hidden', 'a b', '-rf', 'x'.repeat(200)]) {
      expect(safePathSegment(name)).to.equal(name)
    }
  })

  it('is refused when it could lead elsewhere', () => {
    for (const name of ['', '.', '..', 'a/b', '/etc', '..\\x', 'a\0b', 'a\nb', 'ü'.repeat(101)]) {
      expect(() => safePathSegment(name), JSON.stringify(name))
        .to.throw()
        .with.property('code', 'LF_UNSAFE_NAME')
    }
  })
})
