"""The schema of `.status`: what the operator tells, each number rounded for people."""

from typing import Any


def _object(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": properties}


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _moment(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "date-time", "description": description}


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "format": "int64", "description": description}


_CONDITION = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": {**_text("Name of the condition, as docs/api.md lists them."), "maxLength": 64},
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "Whether it is so.",
        },
        "reason": _text("One word for machines, as docs/api.md lists them."),
        "message": _text("What is going on and what to do."),
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The generation it speaks of.",
        },
        "lastTransitionTime": {
            "type": "string",
            "format": "date-time",
            "description": "When the status changed.",
        },
    },
}

_GENERATION = _count("The generation of the spec that this status speaks of.")
_CONDITIONS = {
    "type": "array",
    "description": "Conditions by type.",
    "items": _CONDITION,
    "maxItems": 32,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}
BACKUP_STATUS: dict[str, Any] = _object(
    "What has come of it.",
    observedGeneration=_GENERATION,
    phase=_text("One word for people: Running, Completed, Failed. The condition Succeeded is the truth."),
    conditions=_CONDITIONS,
    startedAt=_moment("When it began."),
    completedAt=_moment("When it ended."),
    backupID=_text("Its name in the repository."),
    type=_text("What was made: without a full backup in the repository, a full one."),
    beginLSN=_text("Where in the write-ahead log it begins."),
    endLSN=_text("Where it is consistent."),
    beginWAL=_text("The first segment of WAL that a restore needs."),
    endWAL=_text("The last segment that makes it consistent."),
    timeline=_number("The timeline that it was made on."),
    databaseBytes=_count("Bytes of the databases."),
    changedBytes=_count("Bytes of the files that were read."),
    storedBytes=_count("Bytes that it added to the repository."),
    size=_text("The same, for people."),
    duration=_text("How long it took."),
    throughput=_text("Bytes read a second."),
    repository=_text("Where it is: s3://BUCKET/FOLDER/NAMESPACE/NAME/UID."),
    repositoryBytes=_count("Bytes in the repository afterwards."),
    firstBackup=_text("The oldest backup in the repository afterwards."),
    firstRecoverabilityPoint=_text("The oldest moment that could be recovered afterwards."),
    source={
        "type": "object",
        "description": "What spec.bootstrap.recovery.source must say to recover from it.",
        "x-kubernetes-preserve-unknown-fields": True,
    },
    error=_object("Why it failed.", reason=_text("One word."), message=_text("What to do.")),
)

STATUS: dict[str, Any] = _object(
    "What the operator last saw.",
    observedGeneration=_GENERATION,
    phase=_text(
        "One word for people: Pending, Progressing, Ready, Stalled, Paused, Hibernated. Conditions are the truth."
    ),
    conditions=_CONDITIONS,
    binding=_object("The Secret that applications connect with.", name=_text("Its name.")),
    postgres=_object(
        "The PostgreSQL instances.",
        provider=_text("Who runs PostgreSQL."),
        version=_text("Version of the primary's server."),
        maxConnections=_number("Connections the server takes, as the schema Job read them."),
        primary=_text("The instance that leads."),
        instances=_number("Instances wanted."),
        readyInstances=_number("Instances ready."),
        volumeSize={**_text("Size that the instances' volumes were made with or grown to."), "maxLength": 32},
        timeline=_number("Timeline of the primary; every failover adds one."),
        revision=_text("Which parameters all instances were last seen to have loaded."),
    ),
    schema=_object(
        "The tables that stand.",
        modules={
            "type": "array",
            "description": "Table sets by name.",
            "items": _object(
                "One table set.", name=_text("Its name."), version=_number("Version of its newest migration.")
            ),
            "x-kubernetes-list-type": "atomic",
        },
    ),
    backup=_object(
        "The backups in the repository.",
        repository=_text("Where they are: s3://BUCKET/FOLDER/NAMESPACE/NAME/UID."),
        since=_moment("When backups into this repository were switched on."),
        lastSuccessful=_moment("When the newest backup was completed."),
        lastFull=_moment("When the newest full backup began."),
        lastFailed=_moment("When a backup last failed."),
        lastVerified=_moment("When a backup was last restored and found sound."),
        firstRecoverabilityPoint=_text("The oldest moment that can be recovered."),
        firstBackup=_text("The oldest backup's id."),
        repositoryBytes=_count("Bytes in the repository."),
        databaseBytes=_count("Bytes of the databases in the newest backup."),
        timeline=_number("The newest backup's timeline."),
        scheduled={
            "type": "object",
            "description": "The last due time of each type that a backup was made for.",
            "additionalProperties": {"type": "string", "format": "date-time"},
        },
        verification=_object(
            "The last verification.",
            begun=_text("When the one that runs was begun."),
            asked=_text("The command that the last one answers."),
            ended=_moment("When the last one ended."),
            succeeded=_moment("When one last succeeded."),
            backupID=_text("The backup that it restored."),
            recoveredTo=_text("The commit time of the last transaction that it recovered."),
            duration=_text("How long it took."),
            reason=_text("Why the last one did not succeed."),
            message=_text("What it said."),
        ),
    ),
    retention=_object(
        "What the last retention run did; numbers in two digits.",
        since=_moment("When retention was switched on."),
        begun=_text("The due time of the run that is under way, or the command that asked for it."),
        lastRun=_moment("The due time of the newest run, or when it was begun for a command."),
        asked=_text("The command that the newest run answers."),
        spareBytes=_count("Bytes that the volumes could take when the run under way was begun."),
        progress=_object(
            "How far the run under way is, as its pod tells twice a minute.",
            at=_moment("When it told that."),
            threads=_count("Threads that it has looked at."),
            bytes=_count("What it has removed took in its tables, or would have."),
        ),
        lastSuccessful=_moment("When a run last ended well; the figures are its."),
        threads=_count("Threads that it looked at."),
        deleted=_object(
            "What it removed, or would have.",
            checkpoints=_count("Checkpoints."),
            writes=_count("Their pending writes."),
            blobs=_count("Values that no checkpoint refers to any more."),
            threads=_count("Whole threads."),
        ),
        bytes=_count("What these took in their tables, without indexes."),
        reusableBytes=_count("Bytes that are free inside the tables, as vacuum last counted them; none where unknown."),
        returnedBytes=_count("Bytes that went back to the volume, or would have."),
        keptReason=_text("Why what is free was not given back; none where it was, or is too little."),
        deltaThreads=_count("Threads whose history stays because a DeltaChannel's values are made of it."),
        busyThreads=_count("Threads that were left for the next run."),
        busyReason=_text("What the server said of the last of them."),
        complete={"type": "boolean", "description": "Whether it saw all threads in its time."},
        dryRun={"type": "boolean", "description": "Whether it only said what would go."},
        duration=_text("How long it took."),
        reason=_text("Why the last run did not succeed."),
        message=_text("What it said."),
    ),
    tiering=_object(
        "What the last tiering run did; counts in two digits, bytes as they are.",
        since=_moment("When tiering was switched on."),
        begun=_text("The due time of the run that is under way, or the command that asked for it."),
        lastRun=_moment("The due time of the newest run, or when it was begun for a command."),
        asked=_text("The command that the newest run answers."),
        progress=_object(
            "How far the run under way is, as its pod tells twice a minute.",
            at=_moment("When it told that."),
            threads=_count("Threads that it has looked at."),
            moved=_count("Threads that it has moved, or would have."),
            bytes=_count("What these took in their tables."),
        ),
        lastSuccessful=_moment("When a run last ended well; the figures are its."),
        threads=_count("Threads that it looked at."),
        moved=_object(
            "What it moved, or would have.",
            threads=_count("Threads, whole or all but their newest checkpoint."),
            checkpoints=_count("Checkpoints."),
            writes=_count("Their pending writes."),
            blobs=_count("Values that were copied; they leave the database an hour later."),
            bytes=_count("What these took in their tables; room that is used again, and not returned to the volume."),
        ),
        cold=_object(
            "What is in the object store, as the catalog in the database says.",
            threads=_count("Threads with anything there."),
            objects=_count("Objects."),
            bytes=_count("Bytes of these objects."),
            waiting=_count("Threads that were asked for and were not back yet when the run ended."),
            deleted=_count("Threads that were deleted, and of which objects still hold rows."),
            deletedElsewhere=_count("Those whose objects are of the store that this one was recovered from."),
        ),
        tiers={
            "type": "array",
            "description": "What of that is in each tier, and of which class; the largest eight.",
            "items": _object(
                "One tier, as its objects were written.",
                name=_text("Its name."),
                storageClass=_text("The class that they were written with; none for the bucket's own."),
                objects=_count("Objects."),
                bytes=_count("Bytes of these objects."),
                threads=_count("Threads with anything in them."),
            ),
            "x-kubernetes-list-type": "atomic",
        },
        lastDeletion=_moment("When a thread was last deleted, as far as the last run knew."),
        erasedBy=_moment("When neither bucket nor backups have anything of the threads that were deleted until then."),
        deletedAgain=_count("Threads that the recovery had brought back, and that were deleted again before Ready."),
        rewritten=_count("Objects that it wrote anew without what is of no use in them, or together with others."),
        totals=_object(
            "What status.cost reckons by: of all runs since tiering was switched on of which both are known.",
            movedBytes=_count("What they moved took in its tables."),
            objectBytes=_count("What it takes in objects."),
        ),
        requests=_object(
            "What runs have asked of the object store, in the last two to four weeks.",
            since=_moment("Since when."),
            writes=_count("Requests that write or list."),
            reads=_count("Requests that read."),
        ),
        collected=_count("Objects that nothing referred to any more, and that it removed."),
        busyThreads=_count("Threads that were left for the next run."),
        busyReason=_text("What was in the way of the last of them."),
        complete={"type": "boolean", "description": "Whether it saw all threads in its time."},
        dryRun={"type": "boolean", "description": "Whether it only said what would move."},
        duration=_text("How long it took."),
        reason=_text("Why the last run did not succeed."),
        message=_text("What it said."),
    ),
    blobs=_object(
        "Values outside, and what the last collection did; counts in two digits.",
        secret=_text("The Secret that applications read and write them with."),
        since=_moment("When limits.externalize was set."),
        begun=_text("The due time of the run that is under way, or the command that asked for it."),
        lastRun=_moment("The due time of the newest run, or when it was begun for a command."),
        asked=_text("The command that the newest run answers."),
        progress=_object(
            "How far the run under way is, as its pod tells twice a minute.",
            at=_moment("When it told that."),
            objects=_count("Values that are outside."),
            referred=_count("References to them that it has read in rows and in the catalog of what is cold."),
        ),
        lastSuccessful=_moment("When a run last ended well; the figures are its."),
        objects=_count("Values that are outside."),
        bytes=_count("Bytes of these."),
        unused=_count("Those of them that nothing refers to, and that wait for their grace or the recovery window."),
        removed=_count("Values that it removed, or would have."),
        removedBytes=_count("Bytes of these."),
        elsewhere=_count("Values that rows refer to in the folder of a store that this one was recovered from."),
        missing=_count("Values that rows refer to, and that are not there."),
        example=_text("One of them: its key below the folder blobs."),
        dryRun={"type": "boolean", "description": "Whether it only said what would be removed."},
        duration=_text("How long it took."),
        reason=_text("Why the last run did not succeed."),
        message=_text("What it said."),
    ),
    recovery=_object(
        "The recovery that the store began with.",
        phase=_text("Recovering or Completed."),
        origin=_text("The store that the data came from: NAMESPACE/NAME/UID."),
        look=_text("The Job that chose the backup, while it is being restored."),
        uid=_text("The uid of the store that made the backup."),
        databaseBytes=_count("Bytes of the databases in the backup."),
        backupID=_text("The backup that was restored."),
        recoveredTo=_text("The commit time of the last transaction that was recovered."),
        recoveredLSN=_text("The position in the write-ahead log that was recovered to."),
        clamped={
            "type": "boolean",
            "description": "Whether the target was later than the last commit that is archived, which was taken.",
        },
        bytes=_count("Bytes that were restored."),
        duration=_text("How long it took."),
    ),
    pooler=_object(
        "The pooler's pods.",
        instances=_number("Pods that there shall be now."),
        readyInstances=_number("Pods ready."),
        desiredInstances=_number("Pods that the load asks for, or the spec."),
        poolSize=_number("Server connections that each pod may have now."),
        desiredPoolSize=_number("Server connections of each pod that the load asks for, or the server allows."),
        lastScaleTime=_moment("When the load last asked for another size."),
        why=_text("Why it has this size."),
    ),
    monitoring=_object(
        "What Prometheus tells of the last days.",
        exceeded={
            "type": "array",
            "description": "The thresholds that are exceeded.",
            "items": {"type": "string"},
            "x-kubernetes-list-type": "set",
        },
        storageDaysLeft=_number(
            "Days until a volume is full at the pace of the last days; none for ten years and more."
        ),
        recommended=_object(
            "What PostgreSQL should have, as its last day shows it. Nothing is changed for it.",
            memory=_text("Memory: spec.postgres.resources."),
            connections=_number("Connections: max_connections in spec.postgres.parameters."),
        ),
    ),
    cost=_object(
        "What the store costs a month, estimated; amounts in two digits.",
        monthly=_text("All of it that is known."),
        withoutTiering=_text("What all of it would be if what is cold were on the volumes of all instances, about."),
        shown=_object(
            "The same with their currency, for kubectl.",
            monthly=_text("All of it that is known."),
            withoutTiering=_text("What all of it would be without tiering."),
        ),
        currency=_text("What amounts are in."),
        compute=_text("What pods request of processors and memory."),
        volumes=_text("The volumes, used or not."),
        empty=_text("The part of that for what is empty on them."),
        measured=_moment("When empty was last another amount; it is told anew after ten minutes."),
        backups=_text("What is in the repository, and the requests that archiving makes."),
        coldData=_text("What tiering keeps in its object store."),
        blobs=_text("What values outside take in theirs."),
        unknown={
            "type": "array",
            "description": "What nobody can tell; not 0: empty, backups, requests, coldData, blobs, withoutTiering.",
            "items": {"type": "string"},
            "x-kubernetes-list-type": "set",
        },
        why=_text("Of what there is how much, and whose prices count."),
    ),
)
