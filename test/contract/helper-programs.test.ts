import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { expect } from 'chai'
import { helperEnvironment, nvidiaVariables, pipVariables } from '../../src/base/helper-environment.js'
import { prepareExamples } from '../../src/cli/demo/prepare-examples.js'
import { createNvidiaSmi } from '../../src/executors/gpu/ask-nvidia-smi.js'
import { createNvidiaSmiProbe } from '../../src/executors/gpu/probe.js'
import { createJpeginfoBatches, hasJpeginfo } from '../../src/loop/client/images/jpeginfo.js'
import { createJpeginfoStream } from '../../src/loop/client/images/jpeginfo-stream.js'
import { lockFolder } from '../../src/process/folder-lock/folder-lock.js'
import { rejection } from '../helpers/rejection.js'
import { useTemporaryFolder } from '../helpers/temporary-folder.js'

const SECRETS = {
  WANDB_API_KEY: 'a-secret-of-wandb',
  AWS_SECRET_ACCESS_KEY: 'a-secret-of-aws',
  NVIDIA_API_KEY: 'a-secret-of-nvidia',
  LOOP_PASSWORD: 'a-secret-of-the-loop',
}
const SETTINGS = {
  NVIDIA_VISIBLE_DEVICES: 'all',
  CUDA_VISIBLE_DEVICES: '0',
  LC_ALL: 'C.UTF-8',
  PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
  https_proxy: 'http://127.0.0.1:9',
}

describe('A helper program', () => {
  const folder = useTemporaryFolder()
  const whole = process.env
  afterEach(() => {
    process.env = whole
  })

  /** Puts programs on the PATH that write down their environment and fail; answers what the named one has received. */
  async function install(...names: readonly string[]) {
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    for (const name of names) {
      await writeFile(join(bin, name), `#!/bin/sh\nenv > '${join(folder.path, name)}'\nexit 1\n`)
      await chmod(join(bin, name), 0o755)
    }
    const PATH = [bin, whole.PATH].join(delimiter)
    process.env = { ...whole, ...SECRETS, ...SETTINGS, PATH }
    return {
      PATH,
      received: (name: string) => readFile(join(folder.path, name), 'utf8'),
    }
  }

  function expectNoSecret(environment: string): void {
    for (const value of Object.values(SECRETS)) expect(environment).not.to.contain(value)
    expect(environment)
      .to.match(/^PATH=/m)
      .and.to.match(/^LC_ALL=C.UTF-8$/m)
  }

  it('that lists the GPUs receives its own settings and no secret', async () => {
    const { PATH, received } = await install('nvidia-smi')

    await createNvidiaSmi({ path: PATH }).ask(['-q', '-x'], { timeoutMs: 10_000 })

    expectNoSecret(await received('nvidia-smi'))
    expect(await received('nvidia-smi'))
      .to.match(/^NVIDIA_VISIBLE_DEVICES=all$/m)
      .and.to.match(/^CUDA_VISIBLE_DEVICES=0$/m)
      .and.not.to.contain('PIP_INDEX_URL')
  })

  it('that measures the GPUs receives no secret, and our own environment is whole afterwards', async () => {
    const { received } = await install('nvidia-smi')

    await createNvidiaSmiProbe().read()

    expectNoSecret(await received('nvidia-smi'))
    expect(process.env).to.include(SECRETS)
  })

  it('that checks images receives no secret, however it is started', async () => {
    const { received } = await install('jpeginfo', 'stdbuf')

    await hasJpeginfo()
    expectNoSecret(await received('jpeginfo'))
    await createJpeginfoBatches(folder.path).check('a.jpg')
    expectNoSecret(await received('jpeginfo'))
    await createJpeginfoStream(folder.path).end()
    expectNoSecret(await received('stdbuf'))
  })

  it('that holds a lock receives no secret', async () => {
    const { received } = await install('flock')

    await rejection(lockFolder(join(folder.path, 'data'), 'worker'))

    expectNoSecret(await received('flock'))
  })

  it('that makes the environment of the demo receives what pip needs, and no secret', async () => {
    const { received } = await install('python3')
    const deps = { signal: new AbortController().signal, say: () => undefined }
    for (const name of ['shapes-trainer', 'shapes-quantize']) {
      await mkdir(join(folder.path, 'source', name), { recursive: true })
    }
    await writeFile(join(folder.path, 'source/shapes-trainer/requirements.txt'), 'numpy\n')

    await rejection(prepareExamples({ folder: folder.path, source: join(folder.path, 'source') }, deps))

    expectNoSecret(await received('python3'))
    expect(await received('python3'))
      .to.match(/^PIP_INDEX_URL=http:\/\/127.0.0.1:9\/simple$/m)
      .and.to.match(/^https_proxy=http:\/\/127.0.0.1:9$/m)
  })

  it('does not receive a secret whose name begins like an allowed one', () => {
    const names = ['NVIDIA_API_KEY', 'NVIDIA_NGC_TOKEN', 'CUDA_PASSWORD', 'NVIDIA_VISIBLE_DEVICES', 'CUDA_HOME']

    const passed = helperEnvironment(nvidiaVariables, Object.fromEntries(names.map((name) => [name, 'x'])))

    expect(Object.keys(passed)).to.deep.equal(['NVIDIA_VISIBLE_DEVICES', 'CUDA_HOME'])
  })

  it('receives the settings of pip that only look like secrets', () => {
    const host = { PIP_KEYRING_PROVIDER: 'subprocess', PIP_CERT: '/ca.pem', HTTPS_PROXY: 'http://p', GITHUB_TOKEN: 'x' }

    expect(helperEnvironment(pipVariables, host)).to.have.all.keys('PIP_KEYRING_PROVIDER', 'PIP_CERT', 'HTTPS_PROXY')
  })
})
