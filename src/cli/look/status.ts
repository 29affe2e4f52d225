import process from 'node:process'
import type { FleetLink } from '../compose/fleet-link.js'
import { printJson, printTable } from '../output.js'
import { withFleet } from './with-fleet.js'

export async function status(flags: { json: boolean }): Promise<void> {
  await withFleet(async (link) => {
    const view = await look(link)
    if (flags.json) return printJson(view)
    printTable(
      ['HOST', 'TRAINERS', 'CONVERTERS', 'PLACES FREE', 'TRAININGS', 'GPUS'],
      view.hosts.map((host) => [
        host.hostId,
        host.trainers.join(', '),
        host.converters.join(', '),
        `${host.free} of ${host.places}`,
        host.trainings.join(', '),
        host.gpus === null
          ? '–'
          : host.gpus.map((gpu) => `${gpu.index}: ${gpu.utilizationPercent ?? '?'} %`).join(', '),
      ]),
    )
    process.stdout.write('\n')
    printTable(
      ['NODE', 'TYPE', 'DOES', 'UUID'],
      view.nodes.map((node) => [node.name, node.type, node.trainer ?? node.converter ?? '', node.uuid]),
    )
    process.stdout.write('\n')
    const states = ['waiting', 'active', 'delayed', 'completed', 'failed']
    printTable(
      ['QUEUE', ...states.map((state) => state.toUpperCase())],
      Object.entries(view.queues).map(([name, counts]) => [name, ...states.map((state) => String(counts[state] ?? 0))]),
    )
  })
}

async function look({ fleet, queues }: FleetLink) {
  const names = await queues.names()
  const counts = await Promise.all(names.map(async (name) => [name, await queues.counts(name)] as const))
  return { hosts: await fleet.hosts(), nodes: await fleet.nodes(), queues: Object.fromEntries(counts) }
}
