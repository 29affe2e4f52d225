import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { availableCpus } from '../../src/base/available-cpus.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

describe('The CPUs of a process', () => {
  const folder = useTemporaryFolder()

  async function cpusWith(groups: string, files: Readonly<Record<string, string>>): Promise<number> {
    const groupsFolder = join(folder.path, 'groups')
    for (const [name, content] of Object.entries({ '../list': groups, ...files })) {
      const file = join(groupsFolder, name)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
    }
    return availableCpus({ cpus: 16, groupsFolder, groupsFile: join(folder.path, 'list') })
  }

  it('are those it may run on, where no quota is set', async () => {
    expect(await cpusWith('0::/a/b\n', { 'a/cpu.max': 'max 100000\n', 'a/b/cpu.max': 'max 100000\n' })).to.equal(16)
    expect(availableCpus({ groupsFile: join(folder.path, 'missing') })).to.equal(availableParallelism())
  })

  it('are those of the lowest quota of its groups', async () => {
    const files = { 'a/cpu.max': '250000 100000\n', 'a/b/cpu.max': '800000 100000\n' }

    expect(await cpusWith('0::/a/b\n', files)).to.equal(3)
  })

  it('are one with a quota of half of it, also where a container sees its group as the root', async () => {
    expect(await cpusWith('0::/kubepods/pod1/c1\n', { 'cpu.max': '50000 100000\n' })).to.equal(1)
  })

  it('are read in groups of version 1, whose CPU group has a list of controllers as name', async () => {
    const groups = '12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n0::/\n'
    const quota = { 'cpu,cpuacct/cpu.cfs_quota_us': '150000\n', 'cpu,cpuacct/cpu.cfs_period_us': '100000\n' }
    const none = { 'cpu,cpuacct/cpu.cfs_quota_us': '-1\n', 'cpu,cpuacct/cpu.cfs_period_us': '100000\n' }

    expect(await cpusWith(groups, quota)).to.equal(2)
    expect(await cpusWith(groups, none)).to.equal(16)
  })

  it('are not taken from files that make no sense', async () => {
    expect(await cpusWith('nonsense\n0::\n0::/x\n', { 'x/cpu.max': '0 0\n' })).to.equal(16)
    expect(await cpusWith('0::/x\n', { 'x/cpu.max': '' })).to.equal(16)
  })
})
