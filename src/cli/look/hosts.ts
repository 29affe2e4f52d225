import process from 'node:process'
import { InvalidInputError } from '../../base/index.js'
import type { FleetLink } from '../compose/fleet-link.js'
import { ago, printJson, printLine, printTable } from '../output.js'
import { printRedisProblem } from './redis-problem.js'
import { changeFleet, readFleet } from './with-fleet.js'

export async function list(flags: { json: boolean }): Promise<void> {
  await readFleet(async ({ link, fleet }) => {
    const hosts = await fleet.hosts()
    if (flags.json) return printJson(hosts)
    await printRedisProblem(link)
    printHosts(hosts)
  })
}

type SeenHost = Awaited<ReturnType<FleetLink['fleet']['hosts']>>[number]

export function printHosts(hosts: readonly SeenHost[]): void {
  printTable(
    ['HOST', 'STATE', 'TRAINERS', 'CONVERTERS', 'PLACES FREE', 'TRAININGS', 'GPUS'],
    hosts.map((host) => [
      host.hostId,
      host.isAlive && host.isDraining ? 'draining' : presenceOf(host),
      host.trainers.join(', '),
      host.converters.join(', '),
      `${host.free} of ${host.places}`,
      host.trainings.join(', '),
      gpusOf(host),
    ]),
  )
  for (const line of hosts.filter(({ isAlive }) => isAlive).flatMap(remarksOf)) printLine(line)
}

function gpusOf({ gpus, gpuState }: SeenHost): string {
  if (gpuState?.state === 'unreadable') return 'unreadable'
  return gpus?.map((gpu) => `${gpu.index}: ${gpu.utilizationPercent ?? '?'} %`).join(', ') || '–'
}

/** Why a host does less than it was started for. */
function remarksOf({ hostId, gpuState, notServed, suspended, errors }: SeenHost): string[] {
  const gpus = gpuRemarkOf(gpuState)
  return [
    ...errors.map((each) => `${hostId}: ${each}`),
    ...(gpus === undefined ? [] : [`${hostId}: ${gpus}`]),
    ...suspended.map(({ what, isOnTrial }) => `${hostId}: ${what} ${isOnTrial ? 'on trial' : 'suspended'}`),
    ...notServed.map((each) => `${hostId}: ${each.kind} ${each.name} not served: ${each.reason}`),
  ]
}

function gpuRemarkOf(gpuState: SeenHost['gpuState']): string | undefined {
  const { state, reason = null } = gpuState ?? {}
  if (reason === null) return undefined
  if (state === 'gpus') return `not all GPUs offered: ${reason}`
  if (state !== 'unreadable') return undefined
  return `GPUs unreadable, none offered: ${reason}. Repair the driver, or start the worker with --gpus none.`
}

/** How a host or a node is seen from here. */
export function presenceOf({ isAlive, seenAt }: { readonly isAlive: boolean; readonly seenAt: number }): string {
  return isAlive ? 'online' : `offline for ${ago(seenAt, Date.now())}`
}

export async function resume(hostId: string, flags: { json: boolean }): Promise<void> {
  await changeFleet(async ({ fleet, trainings }) => {
    const { suspended } = await findHost(fleet, hostId)
    await trainings.promptly(() => fleet.resume(hostId))
    const parts = suspended.map(({ what }) => what)
    if (flags.json) return printJson({ hostId, resumed: parts })
    process.stdout.write(
      parts.length === 0
        ? `Nothing is suspended on ${hostId}.\n`
        : `${hostId}: ${parts.join(', ')} no longer suspended.\n`,
    )
  })
}

async function findHost(fleet: Pick<FleetLink['fleet'], 'hosts'>, hostId: string): Promise<SeenHost> {
  const host = (await fleet.hosts()).find((each) => each.hostId === hostId)
  if (host !== undefined) return host
  throw new InvalidInputError(`There is no host "${hostId}"; \`loopfleet hosts\` lists them all.`)
}

export async function drain(hostId: string, isDraining: boolean, flags: { json: boolean }): Promise<void> {
  await changeFleet(async ({ fleet, trainings }) => {
    const host = await findHost(fleet, hostId)
    await trainings.promptly(() => fleet.setDraining(hostId, isDraining))
    if (flags.json) return printJson({ hostId, isDraining, trainings: host.trainings })
    const left = host.trainings.length
    const rest = left === 0 ? 'and has none' : `and finishes the ${left} it has`
    process.stdout.write(
      isDraining ? `${hostId} takes no more trainings, ${rest}.\n` : `${hostId} takes trainings again.\n`,
    )
  })
}
