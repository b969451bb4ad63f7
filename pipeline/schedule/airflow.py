"""A DAG file with which Apache Airflow, 2 or 3, starts the ticks."""

from __future__ import annotations

import string

from farebox.pipeline.schedule.crontab import Crontab
from farebox.pipeline.schedule.files import NO_RETRY_CODES, Tick, header, kubernetes_schedule

RETRIES = 2  # of a crashed tick, which resumes; as the Job of a CronJob
SINCE = 2025  # in the past: Airflow begins with the last run before the DAG is switched on, and makes up for no other

DAG = string.Template('''\
"""Retraining of $city by Farebox: $cron"""
$comments
import datetime
import subprocess

import pendulum

try:
    from airflow.sdk import DAG, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.exceptions import AirflowFailException

COMMAND = $command
FOLDER = $folder


@task(retries=$retries, retry_delay=datetime.timedelta(minutes=5))
def retrain():
    """Runs a tick. It is not tried again if its exit code says that a second try would end in the same way."""
    with subprocess.Popen(COMMAND, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
        except BaseException:  # Airflow ends the task: so does the tick, and the next one resumes it
            process.terminate()
            raise
    if process.returncode in $codes:
        raise AirflowFailException(f"exit code {process.returncode}: bad input (2), or a gate refused (3)")
    if process.returncode:
        raise RuntimeError(f"the tick crashed: exit code {process.returncode}")


with DAG(
    dag_id=$name,
    schedule=$schedule,
    start_date=pendulum.datetime($since, 1, 1, tz=$zone),
    catchup=False,
    max_active_runs=1,
    tags=["farebox"],
) as dag:
    retrain()
''')


def airflow(tick: Tick, crontab: Crontab, zone: str) -> dict[str, str]:
    """A DAG file by its name. Raises InputError for days that its cron line cannot express."""
    text = DAG.substitute(
        city=tick.city,
        cron=crontab.text,
        comments="\n".join(header(tick, "the worker's environment")),
        command=repr(list(tick.command)),
        folder=repr(tick.folder),
        retries=RETRIES,
        codes=repr(tuple(NO_RETRY_CODES)),
        name=repr(tick.name),
        schedule=repr(kubernetes_schedule(crontab, "Airflow would take the days of either")),
        since=SINCE,
        zone=repr(zone),
    )
    return {f"{tick.name}.py": text}
