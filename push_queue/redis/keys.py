"""Every Redis key of the queue, by name.

With the default namespace ``push``; ``HGETALL push:job:<id>`` reads without a decoder:

================================== ====== =========================================================
``push:job:{id}``                  hash   a job and its progress, one field for each item
``push:job:{id}:blobs``            hash   digest → ``done/size how``, for each blob of the job
``push:job:{id}:attempts``         list   one JSON object for each attempt that ended, oldest first
``push:jobs``                      zset   ids of all jobs, in the order of enqueueing
``push:jobs:{state}``              zset   ids of jobs in that state, in the order of enqueueing
``push:jobs:due:{priority}``       zset   ids of jobs that wait for a worker, by the time (ms) from
                                          which they do
``push:jobs:totals``               hash   what was done since the beginning: jobs that ended
                                          (``ended:{state}:{error_kind}``), and ``bytes_sent``
``push:jobs:teams``                hash   team → number of its band of scores in arq's queue
``push:finished``                  zset   ids of finished jobs, by the Unix time when they expire
``push:seq``                       string last sequence number given out, which is a time (µs)
``push:events``                    stream every change of a job's state; about the latest 10,000
``push:source:{path}``             set    ids of the unfinished jobs of a source
``push:unwanted:{path}``           set    files there, ``inode size mtime``, that the last of these
                                          jobs deletes
``push:progress:{id}``             pubsub every change of state, and the progress of a job up to
                                          four times a second, as JSON
``push:worker:{id}``               hash   a live worker; it expires when the worker stops reporting
``push:workers``                   zset   ids of workers, by the Unix time when their hashes expire
``push:queue``                     zset   arq's queue
``push:session:{hash}``            string hash of the token with which a browser has logged in, for
                                          12 hours
``push:layer:{blob}``              string descriptor of a layer once it is compressed, as JSON
``push:blob:{registry}:{digest}``  set    repositories of a registry that are known to hold a blob,
                                          to mount it from
``push:upload:{…}``                string where an upload was interrupted
``push:claim:{…}``                 string the worker that uploads a blob to a registry now
``push:tag:{reference}``           hash   sequence, job and digest of the last write of a tag, for
                                          30 days
``push:tag:{reference}:writer``    string the job that writes the tag now
``push:writes``                    zset   writes of tags that may still reach the registry, ``token
                                          sequence digest reference``, by the time (ms) when that
                                          ends
``push:registry:{host}:slots``     zset   uploads of blobs under way, by the time (ms) when they
                                          expire
``push:registry:{host}:senders``   zset   the workers that share its bandwidth, by the time (ms)
                                          until which they send
``push:registry:{host}:granted``   string the time (µs) up to which its bandwidth is given out
``push:registry:{host}:pause``     hash   its end and the start of the first in a row (ms), its
                                          reason, and the job that probes
``push:registry:{host}:waiting``   zset   ids of the jobs that wait for it, by priority and
                                          sequence
``push:registry:paused``           hash   what people have paused, as JSON by registry; ``*`` is
                                          everything, and ``worker/{id}`` a worker that is drained
``push:registry:used``             zset   registries by the time (ms) of the last upload or pause,
                                          for a day
``push:waiting``                   set    the registries that jobs wait for
``push:newer``                     zset   the formats of jobs that wait for newer workers
``push:newer:{format}``            zset   arq's ids of these jobs, by their place in its queue
``push:teams:running``             zset   arq's ids of running jobs, by team and end of the lease
                                          (ms)
``push:teams:turns``               hash   number of a team → when it last had a job taken (ms)
``push:minute:{n}``                hash   what was done in that minute of Unix time: ``succeeded``,
                                          ``failed``, ``failed:{error_kind}``, ``bytes_sent``,
                                          ``bytes_saved``; for an hour
``push:webhooks``                  set    names of the receivers of webhooks
``push:webhook:{name}``            hash   what a receiver wants, and how delivery goes
``push:webhook:{name}:events``     stream the jobs' records that it does not have yet
``push:webhook:{name}:sender``     string the worker that sends them
``push:housekeeper``               string the worker that keeps the queue in order
================================== ====== =========================================================

In a job's hash, ``fence`` and ``token`` guard its attempts: see ``scripts/job/start.lua``.

The scripts build the keys of tags, registries and teams themselves, which a Redis Cluster would not
allow: the queue needs one primary.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds the keys of one namespace."""

    namespace: str = "push"

    def job(self, job_id: str) -> str:
        return f"{self.namespace}:job:{job_id}"

    def blobs(self, job_id: str) -> str:
        return f"{self.namespace}:job:{job_id}:blobs"

    def attempts(self, job_id: str) -> str:
        return f"{self.namespace}:job:{job_id}:attempts"

    @property
    def jobs(self) -> str:
        return f"{self.namespace}:jobs"

    def jobs_in(self, state: str) -> str:
        return f"{self.namespace}:jobs:{state}"

    def due(self, priority: str) -> str:
        return f"{self.namespace}:jobs:due:{priority}"

    @property
    def totals(self) -> str:
        return f"{self.namespace}:jobs:totals"

    def source(self, source: str) -> str:
        return f"{self.namespace}:source:{source}"

    @property
    def finished(self) -> str:
        return f"{self.namespace}:finished"

    @property
    def sequence(self) -> str:
        return f"{self.namespace}:seq"

    @property
    def events(self) -> str:
        return f"{self.namespace}:events"

    def progress(self, job_id: str) -> str:
        """The pub/sub channel of one job. ``progress("*")`` is the pattern for all."""
        return f"{self.namespace}:progress:{job_id}"

    def worker(self, worker_id: str) -> str:
        return f"{self.namespace}:worker:{worker_id}"

    @property
    def workers(self) -> str:
        return f"{self.namespace}:workers"

    def session(self, secret_hash: str) -> str:
        return f"{self.namespace}:session:{secret_hash}"

    def layer(self, key: str) -> str:
        """``key`` is the layer's digest and the encoder."""
        return f"{self.namespace}:layer:{key}"

    def blob(self, registry: str, digest: str) -> str:
        return f"{self.namespace}:blob:{registry}:{digest}"

    def upload(self, registry: str, repository: str, key: str) -> str:
        return f"{self.namespace}:upload:{registry}/{repository}:{key}"

    def claim(self, registry: str, key: str) -> str:
        return f"{self.namespace}:claim:{registry}:{key}"

    def tag(self, reference: str) -> str:
        """``reference`` is ``registry/repository:tag``."""
        return f"{self.namespace}:tag:{reference}"

    def tag_writer(self, reference: str) -> str:
        return f"{self.tag(reference)}:writer"

    @property
    def writes(self) -> str:
        return f"{self.namespace}:writes"

    def slots(self, registry: str) -> str:
        return f"{self.namespace}:registry:{registry}:slots"

    def senders(self, registry: str) -> str:
        return f"{self.namespace}:registry:{registry}:senders"

    def granted(self, registry: str) -> str:
        return f"{self.namespace}:registry:{registry}:granted"

    def pause(self, registry: str) -> str:
        return f"{self.namespace}:registry:{registry}:pause"

    def waiting(self, registry: str) -> str:
        return f"{self.namespace}:registry:{registry}:waiting"

    @property
    def paused(self) -> str:
        return f"{self.namespace}:registry:paused"

    @property
    def used_registries(self) -> str:
        return f"{self.namespace}:registry:used"

    @property
    def waited_for(self) -> str:
        return f"{self.namespace}:waiting"

    @property
    def newer(self) -> str:
        return f"{self.namespace}:newer"

    @property
    def running(self) -> str:
        return f"{self.namespace}:teams:running"

    @property
    def turns(self) -> str:
        return f"{self.namespace}:teams:turns"

    def minute(self, number: int) -> str:
        """``number`` counts the minutes of Unix time."""
        return f"{self.namespace}:minute:{number}"

    @property
    def webhooks(self) -> str:
        return f"{self.namespace}:webhooks"

    def webhook(self, name: str) -> str:
        return f"{self.namespace}:webhook:{name}"

    def webhook_events(self, name: str) -> str:
        return f"{self.webhook(name)}:events"

    def webhook_sender(self, name: str) -> str:
        return f"{self.webhook(name)}:sender"

    @property
    def housekeeper(self) -> str:
        return f"{self.namespace}:housekeeper"

    @property
    def queue(self) -> str:
        """arq's queue. Its name is its key."""
        return f"{self.namespace}:queue"

    def arq_job_id(self, job_id: str, generation: int) -> str:
        """arq's id of a job in one generation.

        All namespaces of a database share arq's own keys (``arq:job:…``), so the namespace is part
        of it. So is the generation: arq may still be deleting the old record of a job that is
        enqueued again.
        """
        return f"{self.namespace}:{job_id}:{generation}"

    def job_of(self, arq_id: str) -> str:
        """The id of the job that arq knows by this id."""
        return arq_id.removeprefix(f"{self.namespace}:").rpartition(":")[0]
