import process from 'node:process'
import { InvalidInputError } from '../../base/errors.js'
import { ago, printJson, printTable } from '../output.js'
import { withFleet } from './with-fleet.js'

export async function list(flags: { json: boolean }): Promise<void> {
  await withFleet(async ({ fleet }) => {
    const hosts = await fleet.hosts()
    if (flags.json) return printJson(hosts)
    printTable(
      ['HOST', 'STATE', 'TRAINERS', 'CONVERTERS', 'PLACES FREE', 'TRAININGS', 'GPUS'],
      hosts.map((host) => [
        host.hostId,
        host.isAlive ? (host.isDraining ? 'drains' : 'online') : `away for ${ago(host.seenAt, Date.now())}`,
        host.trainers.join(', '),
        host.converters.join(', '),
        `${host.free} of ${host.places}`,
        host.trainings.join(', '),
        host.gpus?.map((gpu) => `${gpu.index}: ${gpu.utilizationPercent ?? '?'} %`).join(', ') ?? '–',
      ]),
    )
  })
}

export async function drain(hostId: string, isDraining: boolean, flags: { json: boolean }): Promise<void> {
  await withFleet(async ({ fleet }) => {
    const host = (await fleet.hosts()).find((each) => each.hostId === hostId)
    if (host === undefined) {
      throw new InvalidInputError(`There is no host "${hostId}"; \`loopfleet hosts\` lists them all.`)
    }
    await fleet.setDraining(hostId, isDraining)
    if (flags.json) return printJson({ hostId, isDraining, trainings: host.trainings })
    const left = host.trainings.length
    const rest = left === 0 ? 'and has none' : `and finishes the ${left} it has`
    process.stdout.write(
      isDraining ? `${hostId} takes no more trainings, ${rest}.\n` : `${hostId} takes trainings again.\n`,
    )
  })
}
