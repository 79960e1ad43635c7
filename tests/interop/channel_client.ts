import { type CallOptions, type Channel, Metadata, StatusError } from "@msgbus/grpc";
import type {
  CallSettings,
  InteropClient,
  Outcome,
  Requests,
  StreamingCall,
  UnaryCall,
} from "./interop_client.ts";

/** The cases' client over our channel. */
export class ChannelClient implements InteropClient {
  readonly #channel: Channel;

  /** Calls through `channel`. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  unary(path: string, request: Uint8Array, settings: CallSettings = {}): UnaryCall {
    return startUnary(settings, (options) => this.#channel.unary(path, request, options));
  }

  clientStreaming(path: string, settings: CallSettings = {}): UnaryCall & Requests {
    const requests = new RequestQueue();
    const call = startUnary(settings, (options) => this.#channel.clientStreaming(path, requests, options));
    return { ...call, ...requests.ends() };
  }

  serverStreaming(path: string, request: Uint8Array, settings: CallSettings = {}): StreamingCall {
    return startStreaming(settings, (options) => this.#channel.serverStreaming(path, request, options));
  }

  bidiStreaming(path: string, settings: CallSettings = {}): StreamingCall & Requests {
    const requests = new RequestQueue();
    const call = startStreaming(settings, (options) => this.#channel.bidiStreaming(path, requests, options));
    return { ...call, ...requests.ends() };
  }
}

/** The options of a call, and what they gather of its end. */
class Observation {
  readonly #abort = new AbortController();
  readonly options: CallOptions;
  #header: Outcome["header"] = {};
  #trailer: Outcome["trailer"] = {};

  constructor({ metadata = {}, timeoutMs }: CallSettings) {
    this.options = {
      metadata: new Metadata(metadata),
      signal: this.#abort.signal,
      onHeader: (header) => this.#header = firstValues(header),
      onTrailer: (trailer) => this.#trailer = firstValues(trailer),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
  }

  readonly cancel = () => this.#abort.abort();

  ok(): Outcome {
    return { code: 0, message: "", header: this.#header, trailer: this.#trailer };
  }

  failed(error: unknown): Outcome {
    if (!(error instanceof StatusError)) throw error;
    return { ...this.ok(), code: error.code, message: error.message };
  }
}

function firstValues(metadata: Metadata): Record<string, string | Uint8Array> {
  return Object.fromEntries([...metadata.entries()].reverse());
}

function startUnary(settings: CallSettings, start: (options: CallOptions) => Promise<Uint8Array>): UnaryCall {
  const observation = new Observation(settings);
  const answer = start(observation.options).then(
    (response) => ({ ...observation.ok(), response }),
    (error) => ({ ...observation.failed(error), response: undefined }),
  );
  return { answer, cancel: observation.cancel };
}

function startStreaming(
  settings: CallSettings,
  start: (options: CallOptions) => AsyncIterable<Uint8Array>,
): StreamingCall {
  const observation = new Observation(settings);
  const responses = start(observation.options)[Symbol.asyncIterator]();
  let outcome: Outcome | undefined;
  const next = async () => {
    if (outcome !== undefined) return undefined;
    try {
      const { done, value } = await responses.next();
      if (done !== true) return value;
      outcome = observation.ok();
    } catch (error) {
      outcome = observation.failed(error);
    }
    return undefined;
  };
  return {
    next,
    async outcome() {
      while (outcome === undefined) await next();
      return outcome;
    },
    cancel: observation.cancel,
  };
}

/** Requests that are given one by one, as the iterable that the channel takes. */
class RequestQueue implements AsyncIterable<Uint8Array> {
  readonly #requests: Uint8Array[] = [];
  #finished = false;
  #wake: () => void = () => {};

  ends(): Requests {
    return {
      send: (request) => {
        this.#requests.push(request);
        this.#wake();
      },
      finish: () => {
        this.#finished = true;
        this.#wake();
      },
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#finished) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
