"""The back office over the seeded world, twelve days on: people, money, a fund that has paid income."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from config import sandbox_world
from superapp import clock
from superapp.models import User
from tests.databases import cloned


@pytest.fixture(scope="package")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database of its own for this package, seeded once; with `db`, what a test writes is rolled back."""
    from superapp.travel import travel

    with django_db_blocker.unblock(), cloned():
        sandbox_world.build()
        travel(to=datetime(2013, 7, 13, 9, 0, tzinfo=clock.business_zone()))
        with django_db_blocker.block():
            yield


@pytest.fixture
def operator(world: None, db: None) -> User:
    """The first superuser of the seeded world."""
    return User.objects.get(email=sandbox_world.OPERATOR)


@pytest.fixture
def office(operator: User) -> Client:
    """A browser in which the superuser has signed in."""
    browser = Client()
    browser.force_login(operator)
    return browser
