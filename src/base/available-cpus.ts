import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

type Sources = {
  /** CPUs that this process may run on. */
  readonly cpus?: number
  /** The groups of this process, as Linux lists them. */
  readonly groupsFile?: string
  readonly groupsFolder?: string
}

/**
 * How many CPUs' worth of time this process gets: those it may run on, or less where a container's quota says so. A quota
 * of half a CPU counts as one.
 */
export function availableCpus(sources: Sources = {}): number {
  const { cpus = availableParallelism(), groupsFile = '/proc/self/cgroup', groupsFolder = '/sys/fs/cgroup' } = sources
  const quotas = foldersOf(groupsFile).flatMap((folder) => quotaOf(join(groupsFolder, folder)) ?? [])
  return Math.max(1, Math.min(cpus, ...quotas.map(Math.ceil)))
}

/** Each group with a say about CPU time, and those above it. A container may see its own group as the root, so that counts too. */
function foldersOf(groupsFile: string): string[] {
  const lines = (textOf(groupsFile) ?? '').split('\n')
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (controllers === undefined || path === undefined) return []
    if (controllers === '') return withParents(path)
    return controllers.split(',').includes('cpu') ? withParents(path).map((one) => join(controllers, one)) : []
  })
}

function withParents(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '')
  return [...names.keys(), names.length].map((count) => names.slice(0, count).join('/'))
}

/** CPUs of a group: `cpu.max` is version 2, with "max" for none, the others are version 1, with -1 for none. */
function quotaOf(folder: string): number | undefined {
  const [quota, period] = textOf(join(folder, 'cpu.max'))?.split(' ') ?? [
    textOf(join(folder, 'cpu.cfs_quota_us')),
    textOf(join(folder, 'cpu.cfs_period_us')),
  ]
  const cpus = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN)
  return cpus > 0 && Number.isFinite(cpus) ? cpus : undefined
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined // another system, or the other version
  }
}
