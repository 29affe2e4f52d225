import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { parse } from 'yaml'
import { z } from 'zod'
import { loadEnvironment } from '../../src/config/load.js'
import { packageRoot } from '../cli/run-cli.js'
import { knownVariables, problemOf, shellLines, wordsOf } from './command-lines.js'

const serviceSchema = z.object({
  image: z.string(),
  profiles: z.array(z.string()).default([]),
  build: z.string().optional(),
  command: z.string(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.unknown()).default({}),
})
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
})
const packageSchema = z.object({ bin: z.object({ loopfleet: z.string() }), scripts: z.record(z.string(), z.string()) })

// There may be no Docker where the tests run, so both files are compared with the program they start.
describe('Dockerfile', () => {
  it('copies only what is there', async () => {
    const sources = (await instructions('COPY'))
      .filter((copy) => !copy.includes('--from='))
      .flatMap((copy) => copy.split(/\s+/).slice(0, -1))

    expect(sources).to.include('package-lock.json')
    expect(sources.filter((source) => !existsSync(join(packageRoot, source)))).to.deep.equal([])
  })

  it('starts the program of the package and runs only scripts it has', async () => {
    const { bin, scripts } = packageSchema.parse(JSON.parse(await read('package.json')))

    expect(JSON.parse((await instructions('ENTRYPOINT'))[0] ?? '')).to.deep.equal(['/bin/sh', `/app/${bin.loopfleet}`])
    const run = (await instructions('RUN')).join(' ')
    for (const [, script] of run.matchAll(/npm run ([a-z-]+)/g)) expect(Object.keys(scripts)).to.include(script)
  })

  it('sets variables that are known, and does not run as root', async () => {
    const pairs = (await instructions('ENV')).flatMap((line) => line.split(/\s+/)).map((pair) => pair.split('=')[0])
    const foreign = ['NODE_ENV', 'ONNXRUNTIME_NODE_INSTALL']

    expect(pairs).to.include('DATA_FOLDER')
    expect(pairs.filter((name) => name === undefined || ![...knownVariables, ...foreign].includes(name))).to.be.empty
    expect((await instructions('USER')).at(-1)).to.equal('node')
  })

  it('holds what the set-up installs for the example trainer', async () => {
    const run = (await instructions('RUN')).join('\n')

    expect(run).to.match(/apt-get install .*python3 python3-venv/)
    expect(run).to.contain('pip install --no-cache-dir -r examples/shapes-trainer/requirements.txt')
  })
})

describe('docker-compose.yml', () => {
  it('has a service for every part that runs for long, each started by its own command', async () => {
    const started = (await ownServices()).map(([name, { command }]) => [name, wordsOf(command)[0]])

    const parts = ['annotator', 'converter', 'dashboard', 'detector', 'loop', 'trainer', 'worker']
    expect(started.sort()).to.deep.equal(parts.map((part) => [part, part]))
  })

  it('gives every part a command line that the program understands', async () => {
    for (const [name, { command }] of await ownServices()) {
      expect(await problemOf(wordsOf(command)), name).to.equal(undefined)
    }
  })

  it('sets and asks for variables that the program reads, with values it takes', async () => {
    for (const [name, { environment = {} }] of await ownServices()) {
      expect(Object.keys(environment).filter((variable) => !knownVariables.has(variable))).to.deep.equal([])
      const values = Object.fromEntries(Object.entries(environment).map(([key, text]) => [key, withDefaults(text)]))
      expect(() => loadEnvironment(values), name).not.to.throw()
    }
    const asked = [...(await read('docker-compose.yml')).matchAll(/\$\{([A-Z_]+)/g)].map((match) => match[1] ?? '')
    expect(asked.filter((variable) => !knownVariables.has(variable))).to.deep.equal([])
  })

  it('holds no secret', async () => {
    for (const [, { environment = {} }] of await ownServices()) {
      for (const [variable, text] of Object.entries(environment)) {
        if (/PASSWORD|TOKEN|USERNAME/.test(variable)) expect(text).to.match(/^\$\{[A-Z_]+(?::-|:\?[^}]*)\}$/)
      }
    }
  })

  it('publishes the ports of the parts on this machine only, and Redis not at all', async () => {
    const { services } = await compose()

    expect(services.redis?.ports).to.deep.equal([])
    for (const [name, { command, ports }] of Object.entries(services)) {
      const port = /--port (\d+)/.exec(command)?.[1]
      for (const published of ports) expect(published, name).to.match(new RegExp(`^127\\.0\\.0\\.1:\\d+:${port}$`))
    }
  })

  it('asks every part that has a server whether it lives, at its port', async () => {
    for (const [name, { command, healthcheck }] of await ownServices()) {
      const port = /--port (\d+)/.exec(command)?.[1]
      if (name === 'worker') expect([port, healthcheck]).to.deep.equal([undefined, undefined])
      else expect(healthcheck?.test.at(-1), name).to.contain(`'http://127.0.0.1:${port}/health/live'`)
    }
  })

  it('runs Redis with the configuration of the repository, where REDIS_URL looks for it', async () => {
    const { services } = await compose()
    const redis = services.redis
    const conf = wordsOf(redis?.command ?? '')[1]

    expect(redis?.volumes).to.include(`./redis.conf:${conf}:ro`)
    expect(redis?.command).to.match(/^redis-server .*--port 6379 .*--bind 0\.0\.0\.0/)
    expect(services.worker?.environment?.REDIS_URL).to.equal('redis://redis:6379')
  })

  it('has the services and profiles that the guide names', async () => {
    const { services } = await compose()
    const typed = (await shellLines('docs/guides/docker.md')).filter(({ line }) => line.includes('docker compose'))
    const profiles = Object.values(services).flatMap((service) => service.profiles)

    expect(typed).not.to.be.empty
    for (const { line } of typed) {
      const { profile, service } =
        /docker compose (?:--profile (?<profile>\S+) )?up --build(?: (?<service>\S+))?$/.exec(line)?.groups ?? {
          profile: line,
        }
      if (profile !== undefined) expect(profiles, line).to.include(profile)
      if (service !== undefined) expect(services[service]?.profiles, line).to.deep.equal([profile])
    }
  })

  it('names services and volumes that exist, and gives every part a data folder of its own', async () => {
    const { services, volumes } = await compose()

    const named = Object.values(services).flatMap((service) =>
      service.volumes.map((volume) => volume.split(':')[0] ?? ''),
    )
    const kept = named.filter((volume) => !volume.startsWith('./'))
    expect(new Set(kept)).to.deep.equal(new Set(Object.keys(volumes)))
    expect(kept).to.have.lengthOf(new Set(kept).size)
    for (const service of Object.values(services))
      expect(services).to.include.keys(['redis', ...Object.keys(service.depends_on)])
  })
})

async function compose() {
  return composeSchema.parse(parse(await read('docker-compose.yml'), { merge: true }))
}

/** The services that run this program. */
async function ownServices() {
  return Object.entries((await compose()).services).filter(([, { build }]) => build !== undefined)
}

/** As compose fills in: the default, or something for what a person must give. */
function withDefaults(text: string): string {
  return text.replace(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1').replace(/\$\{[A-Z_]+:\?[^}]*\}/g, 'sixteen-signs-or-more')
}

async function instructions(name: string): Promise<string[]> {
  const text = (await read('Dockerfile')).replaceAll(/\\\n\s*/g, ' ')
  return [...text.matchAll(new RegExp(`^${name} (.+)$`, 'gm'))].map((match) => match[1] ?? '')
}

function read(file: string): Promise<string> {
  return readFile(join(packageRoot, file), 'utf8')
}
