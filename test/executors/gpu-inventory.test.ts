import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { createNvidiaSmi } from '../../src/executors/gpu/ask-nvidia-smi.js'
import { findHardwareSigns } from '../../src/executors/gpu/hardware-signs.js'
import type { GpuInventory } from '../../src/executors/gpu/inventory.js'
import { readInventory } from '../../src/executors/gpu/read-inventory.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/until.js'
import { fixtures } from './support.js'

const FIRST = 'GPU-00000000-0000-0000-0000-000000000000'
const CARD = `${'\t'}<gpu id="00000000:01:00.0">
		<product_name>NVIDIA L4</product_name>
		<uuid>${FIRST}</uuid>
		<fb_memory_usage><total>23034 MiB</total><used>512 MiB</used></fb_memory_usage>
		<utilization><gpu_util>3 %</gpu_util></utilization>
	</gpu>
`

describe('GPU inventory', function () {
  this.timeout(20_000)
  const folder = useTemporaryFolder()
  let twoGpus = ''

  before(async () => {
    twoGpus = await readFile(join(fixtures, 'nvidia-smi', 'two-gpus.xml'), 'utf8')
  })

  /** Reads with a nvidia-smi that is this shell script; nothing else of the machine is seen. */
  async function readWith(script: string | null, timeoutMs = 5000): Promise<GpuInventory> {
    const bin = join(folder.path, 'bin')
    await mkdir(bin, { recursive: true })
    if (script !== null) {
      await writeFile(join(bin, 'nvidia-smi'), `#!/bin/sh\n${script}\n`)
      await chmod(join(bin, 'nvidia-smi'), 0o755)
    }
    const root = join(folder.path, 'root')
    const smi = createNvidiaSmi({ path: bin, root })
    return readInventory({ timeoutMs }, { smi, hardwareSigns: () => findHardwareSigns(root) })
  }

  /** A script that prints this, however it is asked. */
  async function prints(text: string, name = 'answer'): Promise<string> {
    await writeFile(join(folder.path, name), text)
    return `cat '${join(folder.path, name)}'`
  }

  /** Puts a file below the root at which the kernel's signs are looked for. */
  async function put(path: string, content = ''): Promise<void> {
    const file = join(folder.path, 'root', path)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, content)
  }

  describe('lists the cards', () => {
    it('of a plain answer', async () => {
      const inventory = await readWith(await prints(twoGpus))

      expect(indicesOf(inventory)).to.deep.equal([0, 1])
      expect(inventory).to.include({ isPlain: true })
    })

    it('in spite of a warning on stderr', async () => {
      const script = await prints(twoGpus)

      expect(indicesOf(await readWith(`echo 'cannot change locale (en_US.UTF-8)' >&2\n${script}`))).to.deep.equal([
        0, 1,
      ])
    })

    for (const code of [2, 14, 255]) {
      it(`of a complete answer with exit code ${code}`, async () => {
        expect(indicesOf(await readWith(`${await prints(twoGpus)}\nexit ${code}`))).to.deep.equal([0, 1])
      })
    }

    it('of an answer with other lines before and after it, and bytes that are no text', async () => {
      const script = await prints(twoGpus)
      const noise = `printf 'Mon Nov 30\\n\\377\\000<<< banner & more\\r\\n'\n${script}`

      const inventory = await readWith(`${noise}\necho 'WARNING: infoROM is corrupted at gpu 0000:01:00.0'`)

      expect(indicesOf(inventory)).to.deep.equal([0, 1])
      expect(inventory).to.have.property('lost').that.is.empty
    })

    it('of an answer of several MiB', async () => {
      const process = '<process_info><pid>1</pid><process_name>a &lt; b</process_name></process_info>\n'
      const many = CARD.replace('</gpu>', `<processes>${process.repeat(40_000)}</processes></gpu>`)

      expect(indicesOf(await readWith(await prints(answer(1, many))))).to.deep.equal([0])
    })

    it('of an answer in which names of processes are no XML', async () => {
      const odd = CARD.replace('</gpu>', '<processes><process_name>a && b <x></process_name></processes></gpu>')

      const inventory = await readWith(await prints(answer(1, odd)))

      expect(figuresOf(inventory)).to.include({ utilizationPercent: 3, memoryTotalBytes: 23034 * 1024 ** 2 })
    })

    it('of an answer with a broken part, with the figures of the others', async () => {
      const broken = CARD.replace('</utilization>', '').replace('<gpu_util>3 %', '<clocks a=b & <sm>x <gpu_util>3 %')
      const second = CARD.replaceAll('0000:01', '0000:02').replace(FIRST, 'GPU-22')

      const inventory = await readWith(await prints(answer(2, broken + second)))

      expect(indicesOf(inventory)).to.deep.equal([0, 1])
      expect(figuresOf(inventory, 1)).to.include({ utilizationPercent: 3 })
    })

    it('of a tool that has said everything and does not end', async () => {
      const inventory = await readWith(`${await prints(twoGpus)}\nsleep 60 & wait`, 700)

      expect(indicesOf(inventory)).to.deep.equal([0, 1])
    })

    it('of an answer in which the end of a card is missing', async () => {
      const second = CARD.replaceAll('0000:01', '0000:02').replace(FIRST, 'GPU-22')

      const inventory = await readWith(
        await prints(answer(2, CARD.replace('</gpu>', '') + second.replace('</gpu>', ''))),
      )

      expect(indicesOf(inventory)).to.deep.equal([0, 1])
      expect(figuresOf(inventory, 1)).to.include({ utilizationPercent: 3 })
    })

    for (const value of ['N/A', '[N/A]', '[Not Supported]', 'Insufficient Permissions', '[Unknown Error]', '']) {
      it(`whose load is ${value || 'empty'}, as unknown`, async () => {
        const script = await prints(answer(1, CARD.replace('3 %', value).replace('512 MiB', value)))

        expect(figuresOf(await readWith(script))).to.include({ utilizationPercent: null, memoryUsedBytes: null })
      })
    }

    it('whose memory is [N/A] since they share that of the CPU', async () => {
      const shared = CARD.replace('23034 MiB', '[N/A]').replace('512 MiB', '[N/A]')

      expect(indicesOf(await readWith(await prints(answer(1, shared))))).to.deep.equal([0])
    })

    it('in PCI order, whatever the order of the answer', async () => {
      const later = CARD.replaceAll('0000:01', '0000:AF').replace(FIRST, 'GPU-af')

      const inventory = await readWith(await prints(answer(2, later + CARD)))

      expect(uuidsOf(inventory)).to.deep.equal([FIRST, 'GPU-af'])
    })
  })

  describe('leaves out a lost card', () => {
    const second = CARD.replaceAll('0000:01', '0000:02').replace(FIRST, 'GPU-22')

    for (const [what, lost] of Object.entries({
      'that says so in its figures': CARD.replace('23034 MiB', 'GPU is lost').replace('512 MiB', 'GPU is lost'),
      'that requires a reset': CARD.replace('3 %', '[GPU requires reset]'),
      'that the driver wants to reset': CARD.replace(
        '</gpu>',
        '<gpu_recovery_action>Reset</gpu_recovery_action></gpu>',
      ),
      'whose UUID is an error': CARD.replace(FIRST, 'Unknown Error'),
      'of whose part nothing is left': '\t<gpu id="00000000:01:00.0">\n\t\t<<<\n\t</gpu>\n',
    })) {
      it(what, async () => {
        const inventory = await readWith(await prints(answer(2, lost + second)))

        expect(indicesOf(inventory)).to.deep.equal([1])
        expect(inventory).to.have.nested.property('lost[0].index', 0)
      })
    }

    it('that the driver counts and does not describe', async () => {
      const inventory = await readWith(await prints(answer(2, second)))

      expect(uuidsOf(inventory)).to.deep.equal(['GPU-22'])
      expect(inventory).to.have.property('lost').with.lengthOf(1)
    })

    it('in whose middle the answer ends', async () => {
      const torn = answer(2, second + CARD.replaceAll('0000:01', '0000:03').slice(0, 120)).split('</nvidia_smi_log>')[0]

      expect(uuidsOf(await readWith(await prints(torn ?? '')))).to.deep.equal(['GPU-22'])
    })

    for (const line of [
      'Unable to determine the device handle for GPU0000:01:00.0: Unknown Error',
      'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU',
    ]) {
      it(`that ends the whole answer: ${line.slice(0, 60)}`, async () => {
        const single = await prints(answer(1, second))
        const list = 'GPU 1: NVIDIA L4 (UUID: GPU-22)'
        const script = `case "$*" in
          '-q -x') echo '${line}'; exit 15;;
          '-L') echo '${line}'; echo '${list}'; exit 15;;
          '-q -x -i GPU-22') ${single};;
        esac`

        const inventory = await readWith(script)

        expect(indicesOf(inventory)).to.deep.equal([1])
        expect(figuresOf(inventory)).to.include({ utilizationPercent: 3 })
        expect(inventory).to.have.nested.property('lost[0].busId', '0000:01:00.0')
      })
    }
  })

  describe('is unreadable, with the reason', () => {
    for (const [what, { script, reason }] of Object.entries({
      'after an update of the driver': {
        script: "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
        reason: 'Driver/library version mismatch',
      },
      'when the driver does not answer': {
        script: `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`,
        reason: "couldn't communicate",
      },
      'when a library is missing': {
        script: "echo 'error while loading shared libraries: libnvidia-ml.so.1' >&2; exit 127",
        reason: 'libnvidia-ml.so.1',
      },
      'when the only card is lost': {
        script: "echo 'Unable to determine the device handle for GPU0000:01:00.0: Unknown Error'; exit 15",
        reason: 'Unknown Error',
      },
      'when the tool says nothing': { script: 'exit 0', reason: 'printed nothing' },
      'when the tool is ended by a signal': { script: 'kill -SEGV $$', reason: 'signal' },
    })) {
      it(what, async () => {
        const inventory = await readWith(script)

        expect(inventory).to.include({ state: 'unreadable' })
        expect(inventory).to.have.property('reason').that.includes(reason)
      })
    }

    it('when the only card describes itself as lost', async () => {
      const inventory = await readWith(await prints(answer(1, CARD.replace('23034 MiB', 'GPU is lost'))))

      expect(inventory).to.have.property('reason').that.includes('GPU is lost')
    })

    it('when the tool takes too long, which is ended', async () => {
      const pidFile = join(folder.path, 'pid')
      const inventory = await readWith(`echo $$ > '${pidFile}'; sleep 60 & wait`, 300)

      expect(inventory).to.have.property('reason').that.includes('did not answer')
      const pid = Number(await readFile(pidFile, 'utf8'))
      await until('it is gone', () => !isAlive(pid))
    })

    it('when the tool may not be run, or is a link to a driver that was removed', async () => {
      const bin = join(folder.path, 'bin')
      await mkdir(bin, { recursive: true })
      await writeFile(join(bin, 'nvidia-smi'), '#!/bin/sh\n')
      await chmod(join(bin, 'nvidia-smi'), 0o644)
      expect(await readWith(null)).to.include({ state: 'unreadable' })

      await rm(join(bin, 'nvidia-smi'))
      await symlink('/etc/alternatives/no-such-driver', join(bin, 'nvidia-smi'))
      expect(await readWith(null)).to.include({ state: 'unreadable' })
    })

    it('when what the tool has started holds its output, and again once it does not', async () => {
      const smi = await readWith(`setsid sleep 2 &\nexit 0`, 300)
      expect(smi).to.have.property('reason').that.includes('did not answer')

      expect(indicesOf(await readWith(await prints(twoGpus)))).to.deep.equal([0, 1])
    })

    it('without control characters of the tool in the reason', async () => {
      const inventory = await readWith(String.raw`printf '\033[31mno driver\033[0m' >&2; exit 3`)

      expect(inventory)
        .to.have.property('reason')
        .that.matches(/no driver/)
        .and.not.includes('\u001b')
    })

    it('when the tool cannot be run', async () => {
      const bin = join(folder.path, 'bin')
      await mkdir(bin, { recursive: true })
      await writeFile(join(bin, 'nvidia-smi'), '\u007fELF of another machine')
      await chmod(join(bin, 'nvidia-smi'), 0o755)

      expect(await readWith(null)).to.include({ state: 'unreadable' })
    })

    for (const [what, path] of Object.entries({
      'lists a card': 'proc/driver/nvidia/gpus/0000:01:00.0/information',
      'has a device': 'dev/nvidia0',
      'of Tegra has a device': 'dev/nvhost-gpu',
    })) {
      it(`when there is no nvidia-smi and the kernel ${what}`, async () => {
        await put(path)

        expect(await readWith(null)).to.have.property('state', 'unreadable')
      })
    }

    it('when there is no nvidia-smi and PCI lists a card of NVIDIA', async () => {
      await put('sys/bus/pci/devices/0000:01:00.0/vendor', '0x10de\n')
      await put('sys/bus/pci/devices/0000:01:00.0/class', '0x030200\n')

      const inventory = await readWith(null)

      expect(inventory).to.have.property('reason').that.includes('nvidia-smi is not installed')
    })

    it('when there is no nvidia-smi and Windows has its driver', async () => {
      await put('dev/dxg')
      await put('usr/lib/wsl/lib/libcuda.so.1')

      expect(await readWith(null)).to.include({ state: 'unreadable' })
    })

    it('when nvidia-smi finds no card and PCI lists one', async () => {
      await put('sys/bus/pci/devices/0000:01:00.0/vendor', '0x10de\n')
      await put('sys/bus/pci/devices/0000:01:00.0/class', '0x030000\n')

      expect(await readWith("echo 'No devices were found'; exit 6")).to.include({ state: 'unreadable' })
    })
  })

  describe('is none', () => {
    it('when there is no nvidia-smi and no sign of a card', async () => {
      await put('sys/bus/pci/devices/0000:00:02.0/vendor', '0x8086\n')
      await put('sys/bus/pci/devices/0000:00:02.0/class', '0x030000\n')
      await put('sys/bus/pci/devices/0000:01:00.1/vendor', '0x10de\n') // the sound of a card that is elsewhere
      await put('sys/bus/pci/devices/0000:01:00.1/class', '0x040300\n')
      await put('dev/dxg')

      expect(await readWith(null)).to.include({ state: 'none' })
    })

    it('when nvidia-smi finds no card and the kernel shows none', async () => {
      expect(await readWith("echo 'No devices were found'; exit 6")).to.include({ state: 'none' })
      expect(await readWith(await prints(answer(0, '')))).to.include({ state: 'none' })
    })
  })

  it('finds the tool where WSL has it, when the PATH leaves that out', async () => {
    await put('usr/lib/wsl/lib/nvidia-smi', `#!/bin/sh\n${await prints(twoGpus)}\n`)
    await chmod(join(folder.path, 'root/usr/lib/wsl/lib/nvidia-smi'), 0o755)

    expect(indicesOf(await readWith(null))).to.deep.equal([0, 1])
  })

  for (const [name, expected] of Object.entries({ warning: [0], two: [0, 1], four: [0, 1, 2, 3] })) {
    it(`reads the case "${name}"`, async () => {
      const script = `export NVIDIA_SMI_CASE=${name}\nexec '${join(fixtures, 'nvidia-smi/cases/nvidia-smi')}' "$@"`

      expect(
        indicesOf(await readWith(`PATH='${process.env.PATH?.split(delimiter).join(':')}'\n${script}`)),
      ).to.deep.equal(expected)
    })
  }
})

function answer(attached: number, cards: string): string {
  return (
    '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>\n' +
    `\t<timestamp>Mon Nov 30 19:00:00 2026</timestamp>\n\t<attached_gpus>${attached}</attached_gpus>\n${cards}</nvidia_smi_log>\n`
  )
}

function indicesOf(inventory: GpuInventory): unknown {
  return inventory.state === 'gpus' ? inventory.cards.map(({ index }) => index) : inventory
}

function uuidsOf(inventory: GpuInventory): unknown {
  return inventory.state === 'gpus' ? inventory.cards.map(({ uuid }) => uuid) : inventory
}

function figuresOf(inventory: GpuInventory, rank = 0): unknown {
  return inventory.state === 'gpus' ? inventory.cards[rank]?.figures : inventory
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
