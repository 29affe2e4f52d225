import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { lockFolder } from '../../../src/process/folder-lock/folder-lock.js'
import { listProcesses } from '../../../src/process/proc.js'
import { startNodeScript } from '../../helpers/node-script.js'
import { rejection } from '../../helpers/rejection.js'
import { useTemporaryFolder } from '../../helpers/temporary-folder.js'
import { until } from '../../helpers/until.js'

describe('a folder lock', () => {
  const folder = useTemporaryFolder()
  const holdElsewhere = () =>
    startNodeScript(new URL('../../fixtures/programs/holds-a-folder', import.meta.url), [folder.path])

  it('is refused to a second process, with the folder, the holder and the way out', async () => {
    const holder = await holdElsewhere()

    const startedAt = performance.now()
    const error = await rejection(lockFolder(folder.path, 'worker'))

    expect(error).to.include({ code: 'LF_FOLDER_LOCKED' })
    expect(error.message)
      .to.include(folder.path)
      .and.to.include(`process ${holder.pid}`)
      .and.to.include('stop that one')
    expect(performance.now() - startedAt).to.be.below(3000)
    await holder.kill('SIGKILL')
  })

  it('is free immediately after kill -9 of its holder', async () => {
    const holder = await holdElsewhere()
    await holder.kill('SIGKILL')

    const lock = await until('free', () => lockFolder(folder.path, 'worker').catch(() => undefined), 1000)

    await lock.release()
  })

  it('is held again and again after release', async () => {
    for (let round = 0; round < 5; round++) {
      const lock = await lockFolder(folder.path, 'worker')
      expect((await rejection(lockFolder(folder.path, 'worker'))).message).to.include(String(process.pid))
      await lock.release()
    }
  })

  it('goes to exactly one of many that ask at the same time', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder.path, 'worker')))

    const locks = asked.filter((one) => one.status === 'fulfilled').map(({ value }) => value)
    expect(locks).to.have.lengthOf(1)
    await Promise.all(locks.map((lock) => lock.release()))
  })

  it('of another name does not collide', async () => {
    const locks = await Promise.all([lockFolder(folder.path, 'worker'), lockFolder(folder.path, 'redis')])

    await Promise.all(locks.map((lock) => lock.release()))
  })

  it('tells when it was lost', async () => {
    const lock = await lockFolder(folder.path, 'worker')
    const children = (await listProcesses()).filter(({ parentPid }) => parentPid === process.pid)
    const lines = children.map(async ({ pid }) => ({ pid, command: await commandOf(pid) }))
    const holder = (await Promise.all(lines)).find(({ command }) => command.includes(folder.path))

    process.kill(holder?.pid ?? Number.NaN, 'SIGKILL')

    expect(await lock.lost).to.include({ code: 'LF_FOLDER_LOCK_LOST' })
    await lock.release()
  })

  it('cannot be had without flock, and the error says so', async () => {
    const path = process.env.PATH
    process.env.PATH = folder.path
    try {
      const error = await rejection(lockFolder(folder.path, 'worker'))

      expect(error).to.include({ code: 'LF_FOLDER_LOCK_FAILED' })
      expect(error.message).to.include('flock ENOENT')
    } finally {
      process.env.PATH = path
    }
  })

  it('refuses a name that leads elsewhere and a folder that cannot be one', async () => {
    await writeFile(join(folder.path, 'file'), '')

    expect(await rejection(lockFolder(folder.path, '../x'))).to.include({ code: 'LF_UNSAFE_NAME' })
    expect(await rejection(lockFolder(join(folder.path, 'file'), 'worker'))).to.be.an('error')
  })
})

function commandOf(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
}
