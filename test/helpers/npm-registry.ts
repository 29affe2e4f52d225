import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'

/** A registry on this machine that passes on the packages of the configured one, and a proxy that lets nobody through. */
export type NpmRegistry = {
  readonly url: string
  /** Give it as HTTP_PROXY and HTTPS_PROXY: requests for other hosts come here and are refused. */
  readonly proxyUrl: string
  /** The hosts that were asked for at the proxy. */
  readonly foreignHosts: readonly string[]
  close(): Promise<void>
}

export async function startNpmRegistry(): Promise<NpmRegistry> {
  const upstream = (await execa('npm', ['config', 'get', 'registry'])).stdout.trim().replace(/\/$/, '')
  const foreignHosts: string[] = []
  const registry = createServer((request, response) => {
    passOn(upstream, request, response).catch(() => response.destroy())
  })
  const proxy = createServer((request, response) => {
    foreignHosts.push(request.url ?? '')
    response.writeHead(403).end()
  })
  proxy.on('connect', (request, socket) => {
    foreignHosts.push(request.url ?? '')
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  const [url, proxyUrl] = await Promise.all([listen(registry), listen(proxy)])
  const close = async () => {
    for (const server of [registry, proxy]) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
  return { url, proxyUrl, foreignHosts, close }
}

/** Package documents name their archives by full addresses; ours lead here. */
async function passOn(upstream: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = { accept: request.headers.accept ?? '*/*' }
  const answer = await fetch(`${upstream}${request.url}`, { method: request.method ?? 'GET', headers })
  const type = answer.headers.get('content-type') ?? 'application/octet-stream'
  response.writeHead(answer.status, { 'content-type': type })
  if (answer.body === null) return void response.end()
  if (!type.includes('json')) return pipeline(Readable.fromWeb(answer.body), response)
  response.end((await answer.text()).replaceAll(upstream, `http://${request.headers.host}`))
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${addressOf(server).port}`
}

function addressOf(server: Server): AddressInfo {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port')
  return address
}
