import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the kernel shows of NVIDIA cards, without asking the driver; empty when it shows none. */
export type HardwareSigns = readonly string[]

const NVIDIA = '0x10de'
/** Base class 3 of PCI: display controllers, 3D controllers among them. */
const DISPLAY = /^0x03/

/** Looks for NVIDIA hardware below `root`; what cannot be read shows nothing. */
export async function findHardwareSigns(root = '/'): Promise<HardwareSigns> {
  const [driver, devices, pci, wsl] = await Promise.all([
    names(join(root, 'proc/driver/nvidia/gpus')),
    names(join(root, 'dev')),
    pciCards(join(root, 'sys/bus/pci/devices')),
    names(join(root, 'usr/lib/wsl/lib')),
  ])
  const nodes = devices.filter((name) => /^nvidia\d+$|^nvhost-gpu$|^nvgpu$/.test(name))
  const isWsl = devices.includes('dxg') && wsl.some((name) => /^libcuda\.so|^libnvidia-ml\.so/.test(name))
  return [
    ...driver.map((id) => `the driver lists the card ${id}`),
    ...pci.map((id) => `PCI lists the NVIDIA card ${id}`),
    ...nodes.map((name) => `there is /dev/${name}`),
    ...(isWsl ? ['WSL has the NVIDIA driver of Windows'] : []),
  ]
}

async function pciCards(folder: string): Promise<string[]> {
  const ids = await names(folder)
  const isCard = await Promise.all(
    ids.map(async (id) => {
      const [vendor, kind] = await Promise.all(['vendor', 'class'].map((file) => text(join(folder, id, file))))
      return vendor === NVIDIA && DISPLAY.test(kind ?? '')
    }),
  )
  return ids.filter((_, index) => isCard[index])
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

async function text(file: string): Promise<string> {
  return (await readFile(file, 'latin1').catch(() => '')).trim().toLowerCase()
}
