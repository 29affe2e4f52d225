import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { createFleet } from '../../src/queue/fleet/fleet.js'
import { type Fleet, startFleet } from '../helpers/fleet.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'

/** Passes each preflight, and fails each program. */
const FAILS_AT_WORK = '#!/bin/sh\ncase "$1" in -*) PATH="$REAL_PATH" exec python3 "$@";; esac\nexit 1\n'

describe('a host on which programs fail that work elsewhere', function () {
  this.timeout(120_000)
  const folder = useTemporaryFolder()
  let fleet: Fleet

  afterEach(async () => fleet?.close())

  it('is suspended for that trainer after two failures, fails no training, and is resumed by a person', async () => {
    fleet = await startFleet({ seats: 3, workers: [], places: 1 })
    const broken = await fleet.startWorker({ data: 'broken', pathInFront: await failingPython() })
    const fit = await fleet.startWorker({ data: 'fit' })
    for (let order = 0; order < 3; order += 1)
      await fleet.order({ hyperparameters: { epochs: 20, epoch_seconds: 0.2 } })

    const seen = await until('the host is suspended', () => suspendedOn(broken.hostId), 60_000)
    const hosts = await fleet.run('hosts')
    const records = await until(
      'all have ended',
      async () => {
        const all = await fleet.journal.list()
        return all.length === 3 && all.every(({ endedAt }) => endedAt !== null) ? all : undefined
      },
      60_000,
    )
    const resumed = await fleet.run('hosts', 'resume', broken.hostId)
    await until('it serves again', async () => (await suspendedOn(broken.hostId)) === undefined, 20_000)

    expect(seen).to.match(/^It is suspended, since what failed here worked elsewhere; "loopfleet hosts resume /)
    expect(hosts.output).to.contain(`${broken.hostId}: trainer quick suspended`)
    expect(records.map(({ outcome, hostId }) => [outcome, hostId])).to.deep.equal(
      Array(3).fill(['completed', fit.hostId]),
    )
    expect(records.flatMap(({ failedAttempts }) => failedAttempts.map(({ hostId }) => hostId))).to.include(
      broken.hostId,
    )
    expect(resumed.output).to.equal(`${broken.hostId}: trainer quick no longer suspended.\n`)
  })

  async function failingPython(): Promise<string> {
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'python3'), FAILS_AT_WORK.replace('$REAL_PATH', process.env.PATH ?? ''))
    await chmod(join(bin, 'python3'), 0o755)
    return bin
  }

  async function suspendedOn(hostId: string): Promise<string | undefined> {
    const hosts = await createFleet(fleet.link).hosts()
    const host = hosts.find((each) => each.hostId === hostId)
    return host?.notServed.find(({ reason }) => reason.startsWith('It is suspended'))?.reason
  }
})
